"""Heads that each pick tokens of their own."""

import torch
import torch.nn as nn


class AxisOfTheHeads(nn.Module):
    def __init__(self, dim=32, heads=3, keep=5):
        super().__init__()
        self.keep = keep
        self.weigh = nn.Linear(dim, heads)

    def forward(self, shapes):
        weight = self.weigh(shapes).transpose(1, 2)
        soft = weight.softmax(dim=1)
        hard = torch.zeros_like(soft).scatter(-1, weight.topk(self.keep, dim=-1).indices, 1.0)
        decision = hard + (soft - soft.detach())
        return torch.einsum("bhn,bnc->bhc", decision, shapes) / self.keep
