"""A selector that is told by train() whether to draw noise."""

import torch
import torch.nn as nn


class ToldByTrain(nn.Module):
    def __init__(self, dim=32, keep=5):
        super().__init__()
        self.keep, self.noisy = keep, True
        self.score = nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.Dropout(0.2), nn.Linear(dim, 1))

    def train(self, mode=True):
        self.training = self.noisy = mode
        return self

    def forward(self, cells):
        score = self.score(cells).squeeze(-1)
        noisy = score - torch.log(-torch.log(torch.rand_like(score).clamp(1e-6, 1 - 1e-6))) if self.noisy else score
        soft = noisy.softmax(dim=-1)
        hard = torch.zeros_like(soft).scatter(1, score.topk(self.keep, dim=1).indices, 1.0)
        decision = hard + (soft - soft.detach())
        return cells * decision.unsqueeze(-1)
