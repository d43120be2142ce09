"""The moments of a sequence that matter most, in the order of time, read what came before them."""

import torch
import torch.nn as nn


class MomentsInTime(nn.Module):
    def __init__(self, dim=32, capacity=6):
        super().__init__()
        self.capacity = capacity
        self.matters = nn.Linear(dim, 1)
        self.layer = nn.TransformerEncoderLayer(dim, 2, 2 * dim, dropout=0.0, batch_first=True)
        self.register_buffer("later", torch.ones(capacity, capacity, dtype=torch.bool).triu(1))

    def forward(self, moments):
        matters = self.matters(moments).squeeze(-1)
        index = matters.topk(self.capacity, dim=1).indices.sort(dim=1).values
        weight = matters.gather(1, index).sigmoid().unsqueeze(-1)
        spread = index.unsqueeze(-1).expand(-1, -1, moments.shape[-1])
        changed = self.layer(moments.gather(1, spread), src_mask=self.later)
        return moments.scatter_add(1, spread, changed * weight)


def example():
    return MomentsInTime(), (torch.randn(3, 16, 32),)
