"""Gates on the bands of a spectrum, which start mostly open."""

import math

import torch
import torch.nn as nn


class BandGates(nn.Module):
    def __init__(self, dim=32, init_keep=0.9, tau=0.5):
        super().__init__()
        self.init_keep, self.tau = init_keep, tau
        self.gate = nn.Linear(dim, 1)
        self.mix = nn.Linear(dim, dim)
        nn.init.normal_(self.gate.weight, std=0.02)
        nn.init.constant_(self.gate.bias, math.log((1 - init_keep) / init_keep))

    def forward(self, bands):
        logit = self.gate(bands).squeeze(-1)
        if self.training:
            u = torch.rand_like(logit).clamp(1e-6, 1 - 1e-6)
            logit = logit + torch.log(u) - torch.log1p(-u)
        soft = torch.sigmoid(logit / self.tau)
        hard = (logit > 0).to(soft.dtype)
        return self.mix(bands * (hard + (soft - soft.detach())).unsqueeze(-1))
