"""Tiles of a slide that a pathologist is shown; every tile costs time, which is held to what there is."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class PricedTiles(nn.Module):
    def __init__(self, dim=32, grades=3, time=0.3, weight=2.0):
        super().__init__()
        self.time, self.weight = time, weight
        self.asks = nn.Linear(dim, 1)
        self.grade = nn.Linear(dim, grades)

    def forward(self, tiles, grade):
        asked = self.asks(tiles).squeeze(-1)
        soft = torch.sigmoid(asked)
        hard = (asked > 0).float()
        shown = hard + (soft - soft.detach())
        seen = (tiles * shown.unsqueeze(-1)).mean(dim=1)
        loss = F.cross_entropy(self.grade(seen), grade)
        # what it really costs, with the slope of what is expected
        expected = soft.mean(dim=1)
        cost = hard.mean(dim=1) + (expected - expected.detach())
        loss = loss + self.weight * (cost - self.time).abs().mean()
        with torch.no_grad():
            said = {"shown": hard.sum(dim=1).mean(), "right": (self.grade(seen).argmax(-1) == grade).float().mean()}
        return {"loss": loss, **said}


def example():
    return PricedTiles(), (torch.randn(6, 18, 32), torch.tensor([0, 2, 1, 2, 1, 0]))
