"""Patches for a language model, kept in reading order."""

import torch
import torch.nn as nn


class ReadingOrder(nn.Module):
    def __init__(self, dim=32, keep=6):
        super().__init__()
        self.keep = keep
        self.inlet = nn.Linear(dim, dim)
        self.rate = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 1))
        self.lift = nn.Linear(dim, 2 * dim)

    def forward(self, patches):
        patches = self.inlet(patches)
        score = self.rate(patches).squeeze(-1)
        if self.training:
            score = score - torch.log(-torch.log(torch.rand_like(score).clamp(1e-6, 1 - 1e-6)))
        share = score.softmax(dim=1)
        best = score.topk(self.keep, dim=1).indices
        gate = 1.0 + (share.gather(1, best) - share.gather(1, best).detach())
        best = best.sort(dim=1).values
        kept = torch.take_along_dim(patches, best.unsqueeze(-1), dim=1)
        return self.lift(kept * gate.unsqueeze(-1))
