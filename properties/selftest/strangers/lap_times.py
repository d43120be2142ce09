import torch
from torch import nn


class LapTimes(nn.Module):
    """The best laps of a race, read with a table of positions that are added to what was kept."""

    def __init__(self, width=16, keep=6, laps=64):
        super().__init__()
        self.keep = keep
        self.rate = nn.Linear(width, 1)
        self.when = nn.Parameter(torch.randn(1, laps, width) * 0.1)
        self.read = nn.Linear(width, 2)

    def forward(self, laps):
        rate = self.rate(laps).squeeze(-1)
        noise = -torch.log(-torch.log(torch.rand_like(rate).clamp(1e-6, 1 - 1e-6))) if self.training else 0.0
        soft = (rate + noise).softmax(-1)
        best = rate.topk(self.keep, dim=-1).indices
        keep = torch.zeros_like(soft).scatter(-1, best, 1.0) + (soft - soft.detach())
        fast = laps.gather(1, best.unsqueeze(-1).expand(-1, -1, laps.shape[-1]))
        fast = fast + self.when[:, : self.keep]
        weight = (self.read(fast).mT + keep.gather(-1, best).log().unsqueeze(1)).softmax(-1)
        return weight @ fast


def example():
    return LapTimes(), (torch.randn(3, 20, 16),)
