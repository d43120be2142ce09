import torch
from torch import nn


class OpenHouse(nn.Module):
    """Open rooms: a price for each, the squared distance from a share, and a learned price of what is over."""

    def __init__(self, width=16, share=0.3):
        super().__init__()
        self.share = share
        self.door = nn.Linear(width, 1)
        self.price = nn.Parameter(torch.tensor(0.1))
        self.out = nn.Linear(width, 3)

    def forward(self, rooms, wanted):
        level = self.door(rooms).squeeze(-1)
        chance = torch.sigmoid(level + (torch.rand_like(level).logit(1e-6) if self.training else 0.0))
        opened = (chance > 0.5).to(chance) + (chance - chance.detach())
        seen = (opened.unsqueeze(-1) * rooms).sum(1) / (1 + opened.detach().sum(1, keepdim=True))
        part = opened.mean(dim=1)
        cost = 0.01 * part.mean() + (part - self.share).square().mean() + self.price * (part - self.share).mean()
        return nn.functional.cross_entropy(self.out(seen), wanted) + cost


def example():
    return OpenHouse(), (torch.randn(4, 12, 16), torch.tensor([0, 2, 1, 1]))
