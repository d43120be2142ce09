"""Tokens are opened by a gate; a share of the valid ones is the budget, and leaving it costs."""

import torch
import torch.nn as nn


class BudgetedGate(nn.Module):
    def __init__(self, features=20, share=0.4, weight=2.0):
        super().__init__()
        self.share, self.weight = share, weight
        self.judge = nn.Linear(features, 1)
        self.read = nn.Linear(features, features)

    def forward(self, tokens, valid):
        present = valid.sum(dim=1)
        chance = torch.sigmoid(self.judge(tokens).squeeze(-1)) * valid
        gate = (chance > 0.5).float() * valid
        gate = gate + (chance - chance.detach())
        used = chance.sum(dim=1) / present
        goal = torch.full_like(present, self.share)
        budget = self.weight * (used - goal).square().mean()
        pooled = (self.read(tokens) * gate.unsqueeze(-1)).sum(1) / gate.sum(1, keepdim=True).clamp(min=1)
        return pooled, budget


def example():
    valid = torch.arange(12)[None] < torch.tensor([12, 9, 10, 7])[:, None]
    return BudgetedGate(), (torch.randn(4, 12, 20), valid)
