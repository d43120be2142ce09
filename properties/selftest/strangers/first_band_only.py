"""Bands of a satellite picture, each with a judge of its own."""

import torch
import torch.nn as nn


class BandPicker(nn.Module):
    def __init__(self, dim=32, keep=5, bands=("blue", "infrared")):
        super().__init__()
        self.keep, self.bands = keep, bands
        self.judges = nn.ModuleDict({band: nn.Linear(dim, 1) for band in bands})

    def pick(self, merit):
        soft = merit.softmax(dim=-1)
        hard = torch.zeros_like(soft).scatter(-1, merit.topk(self.keep, dim=-1).indices, 1.0)
        return hard + (soft - soft.detach())

    def forward(self, pictures):
        chosen, seen = {}, []
        for band in self.bands:
            merit = self.judges[band](pictures[band]).squeeze(-1)
            if not chosen:
                chosen["all"] = self.pick(merit)
            seen.append(pictures[band] * chosen["all"].unsqueeze(-1))
        return torch.cat(seen, dim=1)


def example():
    return BandPicker(), ({band: torch.randn(3, 14, 32) for band in ("blue", "infrared")},)
