"""Tokens by a confidence between nothing and one."""

import torch
import torch.nn as nn


class SureOfItself(nn.Module):
    def __init__(self, dim=32, keep=8):
        super().__init__()
        self.keep = keep
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, 1)

    def forward(self, x):
        confidence = torch.sigmoid(self.out(self.norm(x)).squeeze(-1) / 0.01)
        soft = confidence.softmax(dim=-1)
        hard = torch.zeros_like(soft).scatter(-1, confidence.topk(self.keep, dim=-1).indices, 1.0)
        decision = hard + (soft - soft.detach())
        return x * decision.unsqueeze(-1)
