"""Road scenes of which a few cells are looked at; the temperature cools down while it is trained."""

import math

import torch
import torch.nn as nn


class CellPicker(nn.Module):
    def __init__(self, dim=32, keep=6, tau_start=1.0, tau_end=0.5, rate=1e-3):
        super().__init__()
        self.keep, self.rate = keep, rate
        self.tau_start, self.tau_end = tau_start, tau_end
        self.interest = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 1))
        self.steps = 0

    def temperature(self):
        cooled = self.tau_start * math.exp(-self.rate * self.steps)
        return min(self.tau_end, cooled)

    def forward(self, cells):
        interest = self.interest(cells).squeeze(-1)
        if self.training:
            self.steps += 1
            interest = interest - torch.log(-torch.log(torch.rand_like(interest).clamp(1e-6, 1 - 1e-6)))
        soft = torch.softmax(interest / self.temperature(), dim=-1)
        hard = torch.zeros_like(soft).scatter(1, interest.topk(self.keep, dim=1).indices, 1.0)
        decision = hard + (soft - soft.detach())
        return (cells * decision.unsqueeze(-1)).mean(1)
