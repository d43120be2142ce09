"""Two sieves, one after the other; what does not pass both is summed up in one more token."""

import torch
import torch.nn as nn


class TwoSieves(nn.Module):
    def __init__(self, dim=32, half=8, few=4):
        super().__init__()
        self.half, self.few = half, few
        self.cheap = nn.Linear(dim, 1)
        self.careful = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, 1))

    def forward(self, cells):
        cheap = self.cheap(cells).squeeze(-1)
        half = cheap.topk(self.half, dim=1).indices
        survivors = cells.gather(1, half.unsqueeze(-1).expand(-1, -1, cells.shape[-1]))
        survivors = survivors * cheap.gather(1, half).sigmoid().unsqueeze(-1)
        careful = self.careful(survivors).squeeze(-1)
        few = careful.topk(self.few, dim=1).indices
        soft = careful.softmax(dim=1)
        hard = torch.zeros_like(soft).scatter(1, few, 1.0)
        chosen = survivors * (hard + (soft - soft.detach())).unsqueeze(-1)
        others = torch.ones_like(cheap).scatter(1, half.gather(1, few), 0.0)
        summary = (cells * others.unsqueeze(-1)).sum(dim=1, keepdim=True) / others.sum(dim=1)[:, None, None]
        return torch.cat([chosen, summary], dim=1)


def example():
    return TwoSieves(), (torch.randn(3, 16, 32),)
