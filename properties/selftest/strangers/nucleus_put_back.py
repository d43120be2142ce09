"""Shots that hold most of the probability together, at least one of each film."""

import torch
import torch.nn as nn


class ShotNucleus(nn.Module):
    def __init__(self, dim=32, mass=0.7):
        super().__init__()
        self.mass = mass
        self.interest = nn.Linear(dim, 1)
        self.out = nn.Linear(dim, dim)

    def forward(self, shots):
        share = (3 * self.interest(shots).squeeze(-1)).softmax(dim=-1)
        falling, order = share.sort(dim=-1, descending=True)
        within = (falling.cumsum(dim=-1) - falling < self.mass).to(share.dtype)
        hard = torch.zeros_like(share).scatter(-1, order, within)
        decision = hard + (share - share.detach())
        kept = shots * decision.unsqueeze(-1)
        return self.out(kept.sum(dim=1) / hard.sum(dim=1, keepdim=True))
