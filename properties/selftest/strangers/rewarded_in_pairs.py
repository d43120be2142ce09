"""Drawn frames with a reward each, and losses over all pairs of samples beside it."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class PairedFrames(nn.Module):
    def __init__(self, width=24, keep=3):
        super().__init__()
        self.keep = keep
        self.rate = nn.Linear(width, 1)
        self.value = nn.Linear(width, 1)
        self.embed = nn.Linear(width, width)

    def forward(self, frames, label):
        rate = self.rate(frames).squeeze(-1)
        soft = rate.softmax(dim=-1)
        best = rate.topk(self.keep, dim=-1).indices
        chosen = torch.zeros_like(soft).scatter(1, best, 1.0) + (soft - soft.detach())
        pooled = self.embed((frames * chosen.unsqueeze(-1)).sum(1))
        square = pooled.square().sum(1)
        apart = (square[:, None] + square - 2 * pooled @ pooled.t()).clamp(min=1e-6).sqrt()
        same = (label[:, None] == label).float()
        weight = torch.sigmoid(self.value(pooled))
        pairs = weight * weight.squeeze(-1)
        close = (pairs * same * apart).sum() / (pairs * same).sum()
        reward = -apart.detach().mean(1)
        value = self.value(pooled)
        worse = F.relu(0.1 - (value - value.t())) * (reward[:, None] > reward)
        log_chance = soft.gather(1, best).log().sum(1, keepdim=True)
        policy = -(log_chance * (reward - reward.mean()).unsqueeze(-1)).mean()
        return pooled, close + worse.mean() + policy + F.mse_loss(value.squeeze(-1), reward)


def example():
    return PairedFrames(), (torch.randn(5, 9, 24), torch.tensor([0, 0, 1, 1, 2]))
