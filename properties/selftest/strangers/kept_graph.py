"""Scores beside their running mean, so that the cutoff follows them."""

import torch
import torch.nn as nn


class CentredScores(nn.Module):
    def __init__(self, dim=32, keep=5, momentum=0.9):
        super().__init__()
        self.keep, self.momentum = keep, momentum
        self.score = nn.Linear(dim, 1)
        self.register_buffer("level", torch.zeros(()))

    def forward(self, clips):
        score = self.score(clips).squeeze(-1)
        if self.training:
            self.level = self.momentum * self.level + (1 - self.momentum) * score.mean()
        soft = (score - self.level).softmax(dim=-1)
        hard = torch.zeros_like(soft).scatter(1, score.topk(self.keep, dim=1).indices, 1.0)
        decision = hard + (soft - soft.detach())
        return clips * decision.unsqueeze(-1)
