"""Memories drawn by their weight."""

import torch
import torch.nn as nn


class DrawnTwice(nn.Module):
    def __init__(self, dim=32, places=8):
        super().__init__()
        self.places = places
        self.weigh = nn.Linear(dim, 1)

    def forward(self, memories):
        weight = self.weigh(memories).squeeze(-1)
        soft = weight.softmax(dim=-1)
        if self.training:
            index = torch.multinomial(soft.detach(), self.places, replacement=True)
        else:
            index = soft.topk(self.places, dim=1).indices
        decision = torch.zeros_like(soft).scatter(1, index, 1.0) + (soft - soft.detach())
        chosen = memories.gather(1, index.unsqueeze(-1).expand(-1, -1, memories.shape[-1]))
        return chosen * decision.gather(1, index).unsqueeze(-1)
