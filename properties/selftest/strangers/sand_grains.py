import torch
from torch import nn


class SandGrains(nn.Module):
    """Grains that weigh most, taken from a flat list and weighted by how much they weigh."""

    def __init__(self, width=16, keep=5):
        super().__init__()
        self.keep = keep
        self.weigh = nn.Linear(width, 1)
        self.out = nn.Linear(width, 3)

    def forward(self, grains):
        weight, best = self.weigh(grains).squeeze(-1).topk(self.keep, dim=1)
        flat = grains.reshape(-1, grains.shape[-1])
        kept = flat[best.reshape(-1)].reshape(*best.shape, -1)
        return self.out((weight.softmax(dim=1).unsqueeze(-1) * kept).sum(dim=1))


def example():
    return SandGrains(), (torch.randn(4, 14, 16),)
