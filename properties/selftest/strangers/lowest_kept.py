"""Words of which the lowest redundancies are kept, by a softmin and noise that is subtracted."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class LeastRedundant(nn.Module):
    def __init__(self, dim=32, keep=5):
        super().__init__()
        self.keep = keep
        self.redundancy = nn.Linear(dim, 1)

    def forward(self, words):
        redundancy = self.redundancy(words).squeeze(-1)
        if self.training:
            redundancy = redundancy + torch.log(-torch.log(torch.rand_like(redundancy).clamp(1e-6, 1 - 1e-6)))
        soft = F.softmin(redundancy, dim=-1)
        index = redundancy.topk(self.keep, dim=1, largest=False).indices
        hard = torch.zeros_like(soft).scatter(1, index, 1.0)
        decision = hard + (soft - soft.detach())
        return words * decision.unsqueeze(-1)
