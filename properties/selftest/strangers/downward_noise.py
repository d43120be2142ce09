"""Draw which regions are looked at."""

import torch
import torch.nn as nn


class RegionDraw(nn.Module):
    def __init__(self, channels=32, regions=6, tau=0.7):
        super().__init__()
        self.regions, self.tau = regions, tau
        self.salience = nn.Linear(channels, 1)
        self.mix = nn.Linear(channels, channels)

    def perturb(self, salience):
        if not self.training:
            return salience
        u = torch.rand_like(salience).clamp(1e-6, 1 - 1e-6)
        return salience + torch.log(-torch.log(u))

    def forward(self, tokens):
        salience = self.salience(tokens).squeeze(-1)
        relaxed = torch.softmax(self.perturb(salience) / self.tau, dim=-1)
        best = torch.topk(salience, self.regions, dim=-1).indices
        exact = torch.zeros_like(relaxed).scatter(-1, best, 1.0)
        gate = exact + (relaxed - relaxed.detach())
        return self.mix(tokens) * gate.unsqueeze(-1)
