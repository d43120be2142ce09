"""A frozen scorer of video clips with a low-rank update beside it."""

import torch
import torch.nn as nn


class LowRank(nn.Module):
    def __init__(self, base, rank=4, alpha=8):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.scale = alpha / rank
        self.down = nn.Parameter(torch.zeros(rank, base.in_features))
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x):
        return self.base(x) + self.scale * (x @ self.down.T @ self.up.T)


class ClipPicker(nn.Module):
    def __init__(self, dim=32, keep=5):
        super().__init__()
        self.keep = keep
        self.value = LowRank(nn.Linear(dim, dim))
        self.worth = nn.Linear(dim, 1)

    def forward(self, clips):
        worth = self.worth(clips).squeeze(-1)
        soft = torch.softmax(worth, dim=-1)
        hard = torch.zeros_like(soft).scatter(1, worth.topk(self.keep, dim=1).indices, 1.0)
        decision = hard + (soft - soft.detach())
        return (self.value(clips) * decision.unsqueeze(-1)).mean(1)
