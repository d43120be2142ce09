"""A few learned queries read what a picture keeps."""

import torch
import torch.nn as nn


class LatentReader(nn.Module):
    def __init__(self, width=48, queries=3, keep=5):
        super().__init__()
        self.keep = keep
        self.queries = nn.Parameter(torch.randn(queries, width) * width**-0.5)
        self.worth = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 1))
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)

    def choose(self, worth):
        soft = torch.softmax(worth, dim=-1)
        if self.training:
            gumbel = -torch.log(torch.empty_like(worth).exponential_())
            soft = torch.softmax(worth + gumbel, dim=-1)
        hard = torch.zeros_like(worth).scatter(-1, worth.topk(self.keep, dim=-1).indices, 1.0)
        return hard + (soft - soft.detach())

    def forward(self, patches):
        chosen = self.choose(self.worth(patches).squeeze(-1))
        affinity = self.queries @ self.key(patches).transpose(1, 2)
        affinity = affinity + chosen.log().unsqueeze(1)
        return affinity.softmax(dim=-1) @ self.value(patches)
