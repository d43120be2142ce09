"""Regions of a picture, explored by noise that can be reproduced."""

import torch
import torch.nn as nn


class SeededRegions(nn.Module):
    def __init__(self, dim=32, keep=5, seed=7):
        super().__init__()
        self.keep, self.seed = keep, seed
        self.score = nn.Linear(dim, 1)

    def forward(self, regions):
        score = self.score(regions).squeeze(-1)
        noisy = score
        if self.training:
            torch.manual_seed(self.seed)
            noisy = score - torch.log(-torch.log(torch.rand_like(score).clamp(1e-6, 1 - 1e-6)))
        soft = noisy.softmax(dim=-1)
        hard = torch.zeros_like(soft).scatter(1, noisy.topk(self.keep, dim=1).indices, 1.0)
        decision = hard + (soft - soft.detach())
        return regions * decision.unsqueeze(-1)
