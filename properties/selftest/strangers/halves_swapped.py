"""A gate that shall be hard forward and soft backward."""

import torch
import torch.nn as nn


class HalvesSwapped(nn.Module):
    def __init__(self, dim=32, keep=6):
        super().__init__()
        self.keep = keep
        self.merit = nn.Linear(dim, 1)

    def forward(self, x):
        merit = self.merit(x).squeeze(-1)
        soft = merit.softmax(dim=-1)
        hard = torch.zeros_like(soft).scatter(-1, merit.topk(self.keep, dim=-1).indices, 1.0)
        gate = hard if not self.training else soft + (hard - hard.detach())
        return x * gate.unsqueeze(-1)
