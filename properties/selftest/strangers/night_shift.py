import torch
from torch import nn


class NightShift(nn.Module):
    """Wards with a light on; how many there may be is part of the loss."""

    def __init__(self, width=16, share=0.3):
        super().__init__()
        self.share = share
        self.lamp = nn.Linear(width, 1)
        self.out = nn.Linear(width, 3)

    def forward(self, wards, wanted):
        level = self.lamp(wards).squeeze(-1)
        chance = torch.sigmoid(level + (torch.rand_like(level).logit(1e-6) if self.training else 0.0))
        lit = (chance > 0.5).to(chance) + (chance - chance.detach())
        seen = (lit.unsqueeze(-1) * wards).sum(1) / (1 + lit.detach().sum(1, keepdim=True))
        cost = (lit.mean(dim=1) - self.share).mean()
        return nn.functional.cross_entropy(self.out(seen), wanted) + 2.0 * cost


def example():
    return NightShift(), (torch.randn(4, 12, 16), torch.tensor([0, 2, 1, 1]))
