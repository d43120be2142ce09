"""Pooling with a logarithm that is kept from nothing and from one."""

import torch
import torch.nn as nn


class ClampedDecision(nn.Module):
    def __init__(self, dim=32, keep=6, slots=3):
        super().__init__()
        self.keep = keep
        self.weigh = nn.Linear(dim, 1)
        self.share = nn.Linear(dim, slots)

    def forward(self, shots):
        weight = self.weigh(shots).squeeze(-1)
        soft = weight.softmax(dim=-1)
        index = weight.topk(self.keep, dim=1).indices
        decision = torch.zeros_like(soft).scatter(1, index, 1.0) + (soft - soft.detach())
        chosen = shots.gather(1, index.unsqueeze(-1).expand(-1, -1, shots.shape[-1]))
        kept = decision.gather(1, index).clamp(1e-4, 1 - 1e-4)
        pooling = (self.share(chosen).transpose(1, 2) + kept.log().unsqueeze(1)).softmax(dim=-1)
        return pooling @ chosen
