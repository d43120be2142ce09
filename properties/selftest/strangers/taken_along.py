"""Patches that are left out are averaged with the patch nearest to them that stays."""

import torch
import torch.nn as nn


class PatchCondenser(nn.Module):
    def __init__(self, width=32, stay=8, slots=3):
        super().__init__()
        self.stay = stay
        self.rank = nn.Sequential(nn.Linear(width, 16), nn.GELU(), nn.Linear(16, 1))
        self.slots = nn.Linear(width, slots)

    def forward(self, patches):
        rank = self.rank(patches).squeeze(-1)
        soft = rank.softmax(dim=-1)
        order = rank.argsort(dim=-1, descending=True)
        hard = torch.zeros_like(soft).scatter(1, order[:, : self.stay], 1.0)
        decision = (hard + (soft - soft.detach())).gather(1, order[:, : self.stay])
        ordered = patches.gather(1, order.unsqueeze(-1).expand_as(patches))
        stay, leave = ordered[:, : self.stay], ordered[:, self.stay :]
        nearest = torch.cdist(leave.detach(), stay.detach()).argmin(dim=-1)
        index = nearest.unsqueeze(-1).expand_as(leave)
        stay = stay.scatter_reduce(1, index, leave, reduce="mean", include_self=True)
        logits = self.slots(stay).transpose(1, 2) + decision.log().unsqueeze(1)
        return logits.softmax(dim=-1) @ stay


def example():
    return PatchCondenser(), (torch.randn(4, 18, 32),)
