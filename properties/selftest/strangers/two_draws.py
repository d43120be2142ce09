"""Evidence picked under noise."""

import torch
import torch.nn as nn


class TwoDraws(nn.Module):
    def __init__(self, dim=32, keep=6):
        super().__init__()
        self.keep = keep
        self.weigh = nn.Linear(dim, 1)

    def stirred(self, weight):
        if not self.training:
            return weight
        return weight - torch.log(-torch.log(torch.rand_like(weight).clamp(1e-6, 1 - 1e-6)))

    def forward(self, evidence):
        weight = self.weigh(evidence).squeeze(-1)
        index = self.stirred(weight).topk(self.keep, dim=1).indices
        soft = self.stirred(weight).softmax(dim=-1)
        decision = torch.zeros_like(soft).scatter(1, index, 1.0) + (soft - soft.detach())
        return evidence * decision.unsqueeze(-1)
