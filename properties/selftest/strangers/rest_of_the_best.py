"""Slots of what is kept, and one token for the rest."""

import torch
import torch.nn as nn


class RestOfTheBest(nn.Module):
    def __init__(self, dim=32, keep=6, slots=3):
        super().__init__()
        self.keep = keep
        self.merit = nn.Linear(dim, 1)
        self.slots = nn.Linear(dim, slots)

    def forward(self, x):
        merit = self.merit(x).squeeze(-1)
        index = merit.topk(self.keep, dim=-1).indices
        soft = merit.softmax(dim=-1)
        hard = torch.zeros_like(soft).scatter(-1, index, 1.0)
        decision = (hard + (soft - soft.detach())).gather(-1, index)
        kept = x.gather(1, index.unsqueeze(-1).expand(-1, -1, x.size(-1)))
        rest = merit.masked_fill(hard < 0.5, -torch.inf).softmax(dim=-1).unsqueeze(1) @ x
        weights = (self.slots(kept).transpose(1, 2) + decision.log().unsqueeze(1)).softmax(dim=-1)
        return torch.cat([weights @ kept, rest], dim=1)
