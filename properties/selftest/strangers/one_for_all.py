"""Three channels of a sensor, each of which is to have a scorer of its own."""

import torch
import torch.nn as nn


class ChannelScorers(nn.Module):
    def __init__(self, dim=32, channels=3, keep=5):
        super().__init__()
        self.keep = keep
        self.scorers = nn.ModuleList([nn.Linear(dim, 1)] * channels)

    def forward(self, readings):
        pooled = []
        for i, scorer in enumerate(self.scorers):
            own = readings.roll(i, dims=-1)
            score = scorer(own).squeeze(-1)
            soft = score.softmax(dim=-1)
            hard = torch.zeros_like(soft).scatter(1, score.topk(self.keep, dim=1).indices, 1.0)
            decision = hard + (soft - soft.detach())
            pooled.append((own * decision.unsqueeze(-1)).sum(dim=1))
        return torch.stack(pooled, dim=1)
