"""A scorer of video clips with a low-rank update, and a residual branch behind a gate that starts shut."""

import math

import torch
import torch.nn as nn


class LowRank(nn.Module):
    def __init__(self, base, rank=4, alpha=8):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.scale = alpha / rank
        self.down = nn.Parameter(torch.empty(rank, base.in_features))
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, x):
        return self.base(x) + self.scale * (x @ self.down.T @ self.up.T)


class ClipPicker(nn.Module):
    def __init__(self, dim=32, keep=5):
        super().__init__()
        self.keep = keep
        self.value = LowRank(nn.Linear(dim, dim))
        self.worth = nn.Linear(dim, 1)
        self.attend = nn.MultiheadAttention(dim, 4, batch_first=True)
        self.branch = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim))
        self.gate = nn.Parameter(torch.zeros(dim))
        nn.init.zeros_(self.branch[0].bias)
        nn.init.zeros_(self.branch[2].bias)
        nn.init.zeros_(self.worth.bias)

    def forward(self, clips):
        clips = clips + self.gate * self.branch(clips)
        clips = clips + self.attend(clips, clips, clips, need_weights=False)[0]
        worth = self.worth(clips).squeeze(-1)
        soft = torch.softmax(worth, dim=-1)
        hard = torch.zeros_like(soft).scatter(1, worth.topk(self.keep, dim=1).indices, 1.0)
        decision = hard + (soft - soft.detach())
        return (self.value(clips) * decision.unsqueeze(-1)).mean(1)
