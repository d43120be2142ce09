"""Columns of a tall plant picture, laid out column after column, and stripes of it."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class TallColumns(nn.Module):
    def __init__(self, dim=32, keep=8, stripes=4):
        super().__init__()
        self.keep, self.stripes = keep, stripes
        self.embed = nn.Conv2d(3, dim, kernel_size=4, stride=4)
        self.known = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, dim))
        self.near = nn.Conv2d(1, 1, kernel_size=3, padding=1)
        self.worth = nn.Linear(dim, 1)

    def forward(self, picture):
        plant = self.embed(picture)
        batch, dim, high, wide = plant.shape
        cells = self.known(plant.permute(0, 3, 2, 1).flatten(1, 2))
        score = self.worth(cells).squeeze(-1)
        score = score + self.near(score.view(batch, 1, wide, high)).flatten(1)
        soft = score.softmax(dim=-1)
        hard = torch.zeros_like(soft).scatter(1, score.topk(self.keep, dim=1).indices, 1.0)
        decision = hard + (soft - soft.detach())
        kept = (cells * decision.unsqueeze(-1)).sum(dim=1) / self.keep
        rows = self.known(plant.flatten(2).transpose(1, 2))
        parts = rows.reshape(batch, self.stripes, -1, dim).mean(dim=2)
        return torch.cat([kept.unsqueeze(1), F.gelu(parts)], dim=1)


def example():
    return TallColumns(), (torch.randn(3, 3, 32, 16),)
