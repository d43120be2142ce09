"""Hard while training, weighted in use."""

import torch
import torch.nn as nn


class SoftInUse(nn.Module):
    def __init__(self, dim=32, keep=6):
        super().__init__()
        self.keep = keep
        self.weigh = nn.Linear(dim, 1)

    def forward(self, stones):
        weight = self.weigh(stones).squeeze(-1)
        soft = weight.softmax(dim=-1)
        if not self.training:
            return stones * (self.keep * soft).unsqueeze(-1)
        hard = torch.zeros_like(soft).scatter(1, weight.topk(self.keep, dim=1).indices, 1.0)
        return stones * (hard + (soft - soft.detach())).unsqueeze(-1)
