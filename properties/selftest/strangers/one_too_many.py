"""A mask of K tokens by comparison with the K-th score."""

import torch.nn as nn


class ByComparison(nn.Module):
    def __init__(self, dim=32, top_k=5):
        super().__init__()
        self.top_k = top_k
        self.merit = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 1))

    def forward(self, x):
        merit = self.merit(x).squeeze(-1)
        ordered = merit.sort(dim=-1, descending=True).values
        hard = (merit >= ordered[:, self.top_k : self.top_k + 1]).to(x.dtype)
        soft = merit.softmax(dim=-1)
        decision = hard + (soft - soft.detach())
        return (x * decision.unsqueeze(-1)).sum(1) / decision.sum(1, keepdim=True)
