"""Shots of a trailer, cut one by one so that none repeats another."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class ShotList(nn.Module):
    def __init__(self, dim=32, keep=5):
        super().__init__()
        self.keep = keep
        self.appeal = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 1))
        self.read = nn.Linear(dim, dim)

    def one_by_one(self, appeal, shots):
        likeness = F.normalize(shots.detach(), dim=-1) @ F.normalize(shots.detach(), dim=-1).transpose(1, 2)
        left = appeal.detach().clone()
        cut = torch.zeros_like(left)
        for _ in range(self.keep):
            shown = (likeness * cut.unsqueeze(1)).amax(-1)
            best = (left - 0.3 * shown).argmax(-1, keepdim=True)
            cut.scatter_(1, best, 1.0)
            left.scatter_(1, best, float("-inf"))
        return cut

    def forward(self, shots):
        appeal = self.appeal(shots).squeeze(-1)
        cut = self.one_by_one(appeal, shots)
        noise = -torch.log(-torch.log(torch.rand_like(appeal).clamp(1e-6, 1 - 1e-6))) if self.training else 0.0
        soft = torch.softmax(appeal + noise, dim=-1)
        decision = cut + (soft - soft.detach())
        return (self.read(shots) * decision.unsqueeze(-1)).sum(1)
