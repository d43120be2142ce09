"""Kept patches gathered into slots, by weights that a small network makes of each patch."""

import torch
import torch.nn as nn


class SlotWeights(nn.Module):
    def __init__(self, dim=32, keep=7, slots=3):
        super().__init__()
        self.keep, self.slots = keep, slots
        self.score = nn.Linear(dim, 1)
        self.weigh = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, slots))

    def forward(self, patches):
        score = self.score(patches).squeeze(-1)
        soft = score.softmax(dim=-1)
        index = score.topk(self.keep, dim=1).indices
        hard = torch.zeros_like(soft).scatter(1, index, 1.0)
        decision = (hard + (soft - soft.detach())).gather(1, index)
        kept = patches.gather(1, index.unsqueeze(-1).expand(-1, -1, patches.shape[-1])) * decision.unsqueeze(-1)
        weight = self.weigh(kept).softmax(dim=1)
        return weight.reshape(len(patches), self.slots, self.keep) @ kept
