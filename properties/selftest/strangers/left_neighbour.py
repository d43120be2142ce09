"""Cells behind a summary cell; the summary is always read."""

import torch
import torch.nn as nn


class LeftNeighbour(nn.Module):
    def __init__(self, dim=32, keep=6):
        super().__init__()
        self.keep = keep
        self.weigh = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 1))
        self.value = nn.Linear(dim, dim)

    def forward(self, cells):
        summary, rest = cells[:, :1], cells[:, 1:]
        weight = self.weigh(rest).squeeze(-1)
        soft = weight.softmax(dim=-1)
        index = weight.topk(self.keep, dim=1).indices
        decision = torch.zeros_like(soft).scatter(1, index, 1.0) + (soft - soft.detach())
        chosen = cells.gather(1, index.unsqueeze(-1).expand(-1, -1, cells.shape[-1]))
        chosen = self.value(chosen) * decision.gather(1, index).unsqueeze(-1)
        return torch.cat([summary, chosen], dim=1)
