import torch
from torch import nn


class TideTable(nn.Module):
    """Hours of a day that count, with noise from a table as long as the longest day."""

    def __init__(self, width=16, longest=48, keep=5, slots=2):
        super().__init__()
        self.keep = keep
        self.count = nn.Linear(width, 1)
        self.slots = nn.Linear(width, slots)
        self.register_buffer("noise", -torch.log(-torch.log(torch.rand(longest).clamp(1e-6, 1 - 1e-6))))

    def forward(self, hours):
        count = self.count(hours).squeeze(-1)
        perturbed = count + self.noise[: hours.shape[1]] if self.training else count
        soft = perturbed.softmax(-1)
        best = count.topk(self.keep, dim=-1).indices
        chosen = torch.zeros_like(soft).scatter(-1, best, 1.0) + (soft - soft.detach())
        kept = torch.take_along_dim(hours, best.unsqueeze(-1), dim=1)
        return (self.slots(kept).mT + chosen.gather(-1, best).log().unsqueeze(1)).softmax(-1) @ kept


def example():
    return TideTable(), (torch.randn(3, 14, 16),)
