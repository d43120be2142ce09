"""Kept cells with a learned offset."""

import torch
import torch.nn as nn


class FirstChannelOnly(nn.Module):
    def __init__(self, dim=32, keep=6):
        super().__init__()
        self.keep = keep
        self.weigh = nn.Linear(dim, 1)
        self.offset = nn.Parameter(torch.zeros(dim))

    def forward(self, cells):
        weight = self.weigh(cells).squeeze(-1)
        soft = weight.softmax(dim=-1)
        index = weight.topk(self.keep, dim=1).indices
        decision = torch.zeros_like(soft).scatter(1, index, 1.0) + (soft - soft.detach())
        chosen = cells.gather(1, index.unsqueeze(-1))
        return chosen * decision.gather(1, index).unsqueeze(-1) + self.offset
