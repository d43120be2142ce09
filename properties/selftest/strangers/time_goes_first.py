"""Frames first and samples second, as recurrent code has them."""

import torch
import torch.nn as nn


class TimeGoesFirst(nn.Module):
    def __init__(self, dim=24, keep=5):
        super().__init__()
        self.keep = keep
        self.follow = nn.GRU(dim, dim)
        self.weigh = nn.Linear(dim, 1)

    def forward(self, frames):
        seen, _ = self.follow(frames)
        weight = self.weigh(seen).squeeze(-1)
        soft = weight.softmax(dim=0)
        index = weight.topk(self.keep, dim=0).indices
        decision = torch.zeros_like(soft).scatter(0, index, 1.0) + (soft - soft.detach())
        chosen = frames.gather(0, index.unsqueeze(-1).expand(-1, -1, frames.shape[-1]))
        return chosen * decision.gather(0, index).unsqueeze(-1)


def example():
    torch.manual_seed(0)
    return TimeGoesFirst(), (torch.randn(20, 3, 24),)
