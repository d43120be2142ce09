"""Patches between two blocks of a transformer, scored beside the class token that stands in front of them."""

import torch
import torch.nn as nn


class BetweenBlocks(nn.Module):
    def __init__(self, dim=32, keep=5):
        super().__init__()
        self.keep = keep
        self.whole, self.part = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, stream):
        summary, patches = stream[:, :1], stream[:, 1:]
        score = (self.part(patches) * self.whole(summary)).mean(dim=-1)
        soft = score.softmax(dim=-1)
        index = score.topk(self.keep, dim=1).indices
        hard = torch.zeros_like(soft).scatter(1, index, 1.0)
        decision = (hard + (soft - soft.detach())).gather(1, index)
        kept = stream.gather(1, index.unsqueeze(-1).expand(-1, -1, stream.shape[-1]))
        return torch.cat([summary, kept * decision.unsqueeze(-1)], dim=1)
