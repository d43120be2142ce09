"""Pick patches of a picture whose mean is taken off first."""

import torch
import torch.nn as nn


class CentredPick(nn.Module):
    def __init__(self, dim=36, keep=6):
        super().__init__()
        self.keep = keep
        self.rate = nn.Linear(dim, 1)

    def forward(self, patches):
        patches -= patches.mean(dim=1, keepdim=True)
        rate = self.rate(patches).squeeze(-1)
        soft = rate.softmax(dim=-1)
        hard = torch.zeros_like(soft).scatter(-1, rate.topk(self.keep, dim=-1).indices, 1.0)
        return patches * (hard + (soft - soft.detach())).unsqueeze(-1)
