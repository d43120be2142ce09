"""Scenes picked by noisy scores; the block is checkpointed to save memory."""

import torch
import torch.nn as nn
from torch.utils.checkpoint import checkpoint


class SecondThoughts(nn.Module):
    def __init__(self, dim=32, keep=6):
        super().__init__()
        self.keep = keep
        self.rate = nn.Linear(dim, 1)
        self.mix = nn.Linear(dim, dim)

    def block(self, scenes):
        rating = self.rate(scenes).squeeze(-1)
        if self.training:
            rating = rating - torch.log(-torch.log(torch.rand_like(rating).clamp(1e-6, 1 - 1e-6)))
        soft = rating.softmax(dim=-1)
        hard = torch.zeros_like(soft).scatter(1, rating.topk(self.keep, dim=1).indices, 1.0)
        return self.mix(scenes * (hard + (soft - soft.detach())).unsqueeze(-1))

    def forward(self, scenes):
        if not self.training:
            return self.block(scenes)
        return checkpoint(self.block, scenes, use_reentrant=False, preserve_rng_state=False)
