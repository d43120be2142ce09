"""Pixels above a level that follows the scores; the level is kept in half precision to save memory."""

import torch
import torch.nn as nn


class AboveTheLevel(nn.Module):
    def __init__(self, dim=32, share=0.3, momentum=0.99):
        super().__init__()
        self.share, self.momentum = share, momentum
        self.bright = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 1))
        self.register_buffer("level", torch.full((), 0.5, dtype=torch.bfloat16))

    @torch.no_grad()
    def follow(self, bright):
        now = torch.quantile(bright.float(), 1 - self.share)
        self.level.mul_(self.momentum).add_((1 - self.momentum) * now.to(self.level.dtype))

    def forward(self, pixels):
        bright = torch.sigmoid(self.bright(pixels).squeeze(-1))
        if self.training:
            self.follow(bright.detach())
        margin = bright - self.level.to(bright.dtype)
        soft = torch.sigmoid(margin / 0.1)
        hard = (margin > 0).to(soft.dtype)
        return pixels * (hard + (soft - soft.detach())).unsqueeze(-1)
