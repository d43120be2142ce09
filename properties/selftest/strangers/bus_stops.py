import torch
from torch import nn


class BusStops(nn.Module):
    """Stops along a line, the busiest of them, smoothed along the line before they are pooled."""

    def __init__(self, width=16, keep=8, pooled=3):
        super().__init__()
        self.keep = keep
        self.busy = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1))
        self.along = nn.Conv1d(width, width, 3, padding=1)
        self.pooled = nn.Linear(width, pooled)

    def forward(self, stops):
        busy = self.busy(stops).squeeze(-1)
        ranked = busy.topk(self.keep, dim=-1).indices
        noisy = busy + (-torch.log(-torch.log(torch.rand_like(busy).clamp(1e-6, 1 - 1e-6))) if self.training else 0)
        soft = noisy.softmax(-1)
        served = torch.zeros_like(busy).scatter(-1, ranked, 1.0) + (soft - soft.detach())
        along = ranked.sort(-1).values
        kept = stops.gather(1, along.unsqueeze(-1).expand(-1, -1, stops.shape[-1]))
        kept = torch.relu(self.along(kept.transpose(1, 2)).transpose(1, 2))
        logits = self.pooled(kept).transpose(1, 2) + served.gather(-1, ranked).log().unsqueeze(1)
        return logits.softmax(-1) @ kept


def example():
    block, line = BusStops(), torch.randn(3, 22, 16)
    return lambda: block(line)
