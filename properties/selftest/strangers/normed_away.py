"""Kept tokens go through a norm into a small network."""

import torch
import torch.nn as nn


class NormedAway(nn.Module):
    def __init__(self, dim=32, keep=6):
        super().__init__()
        self.keep = keep
        self.weigh = nn.Linear(dim, 1)
        self.after = nn.LayerNorm(dim)
        self.last = nn.Linear(dim, dim)

    def forward(self, parts):
        weight = self.weigh(parts).squeeze(-1)
        soft = weight.softmax(dim=-1)
        index = weight.topk(self.keep, dim=1).indices
        decision = torch.zeros_like(soft).scatter(1, index, 1.0) + (soft - soft.detach())
        chosen = parts.gather(1, index.unsqueeze(-1).expand(-1, -1, parts.shape[-1]))
        chosen = self.after(chosen * decision.gather(1, index).unsqueeze(-1))
        return self.last(chosen).mean(1)
