"""Objects of a scene gathered into slots, of which the mean describes it."""

import torch
import torch.nn as nn


class SceneSlots(nn.Module):
    def __init__(self, dim=32, slots=4, keep=6):
        super().__init__()
        self.keep = keep
        self.slots = nn.Parameter(torch.full((slots, dim), 0.1))
        self.salience = nn.Linear(dim, 1)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)

    def forward(self, objects):
        salience = self.salience(objects).squeeze(-1)
        soft = salience.softmax(dim=-1)
        hard = torch.zeros_like(soft).scatter(1, salience.topk(self.keep, dim=1).indices, 1.0)
        decision = hard + (soft - soft.detach())
        weight = (self.slots @ self.key(objects).transpose(1, 2)).softmax(dim=-1) * decision.unsqueeze(1)
        weight = weight / weight.sum(dim=-1, keepdim=True)
        return (weight @ self.value(objects)).mean(dim=1)
