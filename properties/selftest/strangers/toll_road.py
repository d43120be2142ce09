import torch
from torch import nn


class TollRoad(nn.Module):
    """Cars of a queue are let through by a gate; how many may pass has a price, which the caller adds to its loss."""

    def __init__(self, width=16, share=0.4, price=2.0):
        super().__init__()
        self.share, self.price = share, price
        self.gate = nn.Linear(width, 1)
        self.out = nn.Linear(width, 3)

    def forward(self, cars):
        level = self.gate(cars).squeeze(-1)
        chance = torch.sigmoid(level + (torch.rand_like(level).logit(1e-6) if self.training else 0.0))
        passed = (chance > 0.5).to(chance)
        through = passed + (chance - chance.detach())
        mean = (through.unsqueeze(-1) * cars).sum(1) / (1e-3 + passed.sum(1, keepdim=True))
        toll = self.price * (passed.mean(-1) - self.share).square().mean()
        return self.out(mean), toll


def example():
    return TollRoad(), (torch.randn(4, 18, 16),)
