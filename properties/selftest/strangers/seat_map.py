import torch
from torch import nn


class SeatMap(nn.Module):
    """Seats that are looked at; what is not kept is to be closed by a bias."""

    def __init__(self, width=16, keep=5, slots=2):
        super().__init__()
        self.keep = keep
        self.like = nn.Linear(width, 1)
        self.slots = nn.Linear(width, slots)

    def forward(self, seats):
        like = self.like(seats).squeeze(-1)
        noise = -torch.log(-torch.log(torch.rand_like(like).clamp(1e-6, 1 - 1e-6))) if self.training else 0.0
        soft = (like + noise).softmax(-1)
        best = like.topk(self.keep, dim=-1).indices
        taken = torch.zeros_like(soft).scatter(-1, best, 1.0) + (soft - soft.detach())
        near = torch.take_along_dim(seats, best.unsqueeze(-1), dim=1)
        bias = (taken.gather(-1, best) - 1.0).unsqueeze(1)
        return (self.slots(near).mT - bias).softmax(-1) @ near


def example():
    return SeatMap(), (torch.randn(3, 14, 16),)
