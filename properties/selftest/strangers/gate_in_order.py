"""Regions for a captioner, kept in the order of the picture, each with a gate of its own."""

import torch
import torch.nn as nn


class GateInOrder(nn.Module):
    def __init__(self, dim=32, keep=6):
        super().__init__()
        self.keep = keep
        self.stem = nn.Linear(dim, dim)
        self.rate = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 1))
        self.lift = nn.Linear(dim, 2 * dim)

    def forward(self, regions):
        regions = self.stem(regions)
        score = self.rate(regions).squeeze(-1)
        if self.training:
            score = score - torch.log(-torch.log(torch.rand_like(score).clamp(1e-6, 1 - 1e-6)))
        share = score.softmax(dim=1)
        best = score.topk(self.keep, dim=1).indices.sort(dim=1).values
        share = share.gather(1, best)
        gate = 1.0 + (share - share.detach())
        return self.lift(torch.take_along_dim(regions, best.unsqueeze(-1), dim=1) * gate.unsqueeze(-1))
