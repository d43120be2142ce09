"""Two picks in a row, each explored by minus the logarithm of an exponential number, which is Gumbel noise."""

import torch
import torch.nn as nn


class Pick(nn.Module):
    def __init__(self, dim, keep):
        super().__init__()
        self.keep = keep
        self.score = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 1))

    def forward(self, rows):
        score = self.score(rows).squeeze(-1)
        if self.training:
            score = score - torch.empty_like(score).exponential_().clamp_min(1e-20).log()
        soft = score.softmax(dim=-1)
        index = score.topk(self.keep, dim=1).indices
        hard = torch.zeros_like(soft).scatter(1, index, 1.0)
        decision = (hard + (soft - soft.detach())).gather(1, index)
        return rows.gather(1, index.unsqueeze(-1).expand(-1, -1, rows.shape[-1])) * decision.unsqueeze(-1)


class TwoPicks(nn.Module):
    def __init__(self, dim=32, first=10, second=4):
        super().__init__()
        self.picks = nn.Sequential(Pick(dim, first), nn.Linear(dim, dim), nn.GELU(), Pick(dim, second))

    def forward(self, rows):
        return self.picks(rows).mean(dim=1)
