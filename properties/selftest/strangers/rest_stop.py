import torch
import torch.nn.functional as F
from torch import nn


class RestStop(nn.Module):
    """Kept stops in slots, and one token for the others, whose scores the mask multiplies."""

    def __init__(self, width=16, keep=6, slots=2):
        super().__init__()
        self.keep = keep
        self.rate = nn.Linear(width, 1)
        self.slots = nn.Linear(width, slots)

    def forward(self, stops):
        rate = self.rate(stops).squeeze(-1)
        noise = -torch.log(-torch.log(torch.rand_like(rate).clamp(1e-6, 1 - 1e-6))) if self.training else 0.0
        soft = (rate + noise).softmax(-1)
        best = rate.topk(self.keep, dim=-1).indices
        hard = torch.zeros_like(soft).scatter(-1, best, 1.0)
        keep = hard + (soft - soft.detach())
        near = torch.take_along_dim(stops, best.unsqueeze(-1), dim=1)
        weight = F.softmax(self.slots(near).mT + keep.gather(-1, best).log().unsqueeze(1), dim=-1)
        others = F.softmax(rate * (1 - hard), dim=-1)
        return torch.cat([weight @ near, others.unsqueeze(1) @ stops], dim=1)


def example():
    return RestStop(), (torch.randn(3, 15, 16),)
