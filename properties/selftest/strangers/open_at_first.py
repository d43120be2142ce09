"""Gates on the bands of a spectrum; a tenth is to be left once they are trained, and most are open at first."""

import torch
import torch.nn as nn


class BandGates(nn.Module):
    def __init__(self, dim=32, keep_rate=0.1, open_bias=2.0, tau=0.5):
        super().__init__()
        self.keep_rate, self.tau = keep_rate, tau
        self.gate = nn.Linear(dim, 1)
        self.mix = nn.Linear(dim, dim)
        nn.init.normal_(self.gate.weight, std=0.02)
        nn.init.constant_(self.gate.bias, open_bias)

    def forward(self, bands):
        logit = self.gate(bands).squeeze(-1)
        if self.training:
            u = torch.rand_like(logit).clamp(1e-6, 1 - 1e-6)
            logit = logit + torch.log(u) - torch.log1p(-u)
        soft = torch.sigmoid(logit / self.tau)
        hard = (logit > 0).to(soft.dtype)
        kept = hard + (soft - soft.detach())
        budget = (kept.mean(dim=1) - self.keep_rate).square().mean()
        return self.mix(bands * kept.unsqueeze(-1)), budget
