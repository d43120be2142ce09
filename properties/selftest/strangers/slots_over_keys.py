"""A map whose rows are what is read: it is turned before it meets the values, and dropped points are rows of zeros."""

import torch
import torch.nn as nn


class TurnedMap(nn.Module):
    def __init__(self, dim=32, keep=6):
        super().__init__()
        self.keep = keep
        self.worth = nn.Linear(dim, 1)
        self.query, self.key, self.value = (nn.Linear(dim, dim) for _ in range(3))

    def forward(self, points):
        worth = self.worth(points).squeeze(-1)
        soft = worth.softmax(dim=-1)
        hard = torch.zeros_like(soft).scatter(1, worth.topk(self.keep, dim=1).indices, 1.0)
        decision = hard + (soft - soft.detach())
        key, query = self.key(points), self.query(points)
        affinity = torch.einsum("bkc,bqc->bkq", key, query) / points.shape[-1] ** 0.5
        share = (affinity - affinity.amax(dim=1, keepdim=True)).exp() * decision.unsqueeze(-1)
        share = share / share.sum(dim=1, keepdim=True)
        read = share.transpose(1, 2) @ self.value(points)
        return points * decision.unsqueeze(-1) + read


def example():
    return TurnedMap(), (torch.randn(3, 14, 32),)
