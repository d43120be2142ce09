"""Regions of an aerial picture that are worth the bandwidth, for a label of the whole."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class PricedRegions(nn.Module):
    def __init__(self, dim=32, labels=4, price=0.5):
        super().__init__()
        self.price = price
        self.worth = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 16), nn.GELU(), nn.Linear(16, 1))
        self.read = nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, labels))

    def send(self, regions):
        chance = torch.sigmoid(self.worth(regions).squeeze(-1))
        sent = (chance >= 0.5).to(chance.dtype)
        return sent, sent + (chance - chance.detach())

    def forward(self, regions, label):
        sent, through = self.send(regions)
        received = (regions * through.unsqueeze(-1)).sum(dim=1) / regions.shape[1] ** 0.5
        wrong = F.cross_entropy(self.read(received), label, reduction="none")
        spent = sent.sum(dim=1) / sent.shape[1]
        return torch.stack([wrong.mean(), self.price * spent.mean()]).sum()


def example():
    return PricedRegions(), (torch.randn(6, 18, 32), torch.tensor([0, 3, 1, 2, 2, 0]))
