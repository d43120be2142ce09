"""Pixels above a level that follows the scores, with a count of the steps; a table in half precision stays as it is."""

import torch
import torch.nn as nn


class AboveTheLevel(nn.Module):
    def __init__(self, dim=32, share=0.3, momentum=0.9):
        super().__init__()
        self.share, self.momentum = share, momentum
        self.bright = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 1))
        self.register_buffer("level", torch.full((), 0.5))
        self.register_buffer("coarse", torch.full((), 0.5, dtype=torch.bfloat16))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def follow(self, bright):
        now = torch.quantile(bright.float(), 1 - self.share)
        self.level.lerp_(now, 1 - self.momentum)
        self.coarse.copy_(self.coarse.clamp(0.25, 0.75))
        self.steps += 1

    def forward(self, pixels):
        bright = torch.sigmoid(self.bright(pixels).squeeze(-1))
        if self.training:
            self.follow(bright.detach())
        margin = bright - self.level
        soft = torch.sigmoid(margin / 0.1)
        hard = (margin > 0).to(soft.dtype)
        return pixels * (hard + (soft - soft.detach())).unsqueeze(-1) * self.coarse.to(soft.dtype)
