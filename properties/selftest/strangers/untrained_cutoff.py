"""Sensor readings above a cutoff that is learned."""

import torch
import torch.nn as nn


class ReadingFilter(nn.Module):
    def __init__(self, dim=32, sharpness=5.0):
        super().__init__()
        self.sharpness = sharpness
        self.quality = nn.Sequential(nn.Linear(dim, dim), nn.Tanh(), nn.Linear(dim, 1))
        self.cutoff = nn.Parameter(torch.zeros(()))

    def forward(self, readings):
        quality = self.quality(readings).squeeze(-1)
        soft = torch.sigmoid(self.sharpness * quality)
        hard = (quality > self.cutoff).to(soft.dtype)
        decision = hard + (soft - soft.detach())
        return readings * decision.unsqueeze(-1)
