"""The best of every stretch of eight frames."""

import torch
import torch.nn as nn


class FirstWindowOnly(nn.Module):
    def __init__(self, dim=32, stretch=8, each=2):
        super().__init__()
        self.stretch, self.each = stretch, each
        self.weigh = nn.Linear(dim, 1)

    def forward(self, frames):
        batch, count, dim = frames.shape
        weight = self.weigh(frames).reshape(batch, count // self.stretch, self.stretch)
        soft = weight.softmax(dim=-1)
        index = weight.topk(self.each, dim=-1).indices
        decision = torch.zeros_like(soft).scatter(-1, index, 1.0) + (soft - soft.detach())
        places = index.flatten(1)
        chosen = frames.gather(1, places.unsqueeze(-1).expand(-1, -1, dim))
        return chosen * decision.gather(-1, index).flatten(1).unsqueeze(-1)


def example():
    torch.manual_seed(0)
    return FirstWindowOnly(), (torch.randn(2, 32, 32),)
