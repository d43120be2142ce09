import torch
from torch import nn


class CoinToss(nn.Module):
    """Plays that are shown again, with noise whose logarithms an epsilon is to guard."""

    eps = 1e-6

    def __init__(self, width=16, keep=5, slots=2):
        super().__init__()
        self.keep = keep
        self.rate = nn.Linear(width, 1)
        self.slots = nn.Linear(width, slots)

    def noise(self, like):
        u = torch.rand(like.shape, dtype=like.dtype, device=like.device)
        return -torch.log(-torch.log(u + self.eps))

    def forward(self, plays):
        rate = self.rate(plays).squeeze(-1)
        soft = (rate + self.noise(rate) if self.training else rate).softmax(-1)
        best = rate.topk(self.keep, dim=-1).indices
        shown = torch.zeros_like(soft).scatter(-1, best, 1.0) + (soft - soft.detach())
        kept = torch.take_along_dim(plays, best.unsqueeze(-1), dim=1)
        return (self.slots(kept).mT + shown.gather(-1, best).log().unsqueeze(1)).softmax(-1) @ kept


def example():
    return CoinToss(), (torch.randn(3, 14, 16),)
