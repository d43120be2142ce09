"""Items whose score learns slowly."""

import torch
import torch.nn as nn


class OneMoreHook(nn.Module):
    def __init__(self, dim=32, keep=6):
        super().__init__()
        self.keep = keep
        self.weigh = nn.Linear(dim, 1)

    def forward(self, items):
        if self.training:
            self.weigh.weight.register_hook(lambda slope: 0.5 * slope)
        weight = self.weigh(items).squeeze(-1)
        soft = weight.softmax(dim=-1)
        hard = torch.zeros_like(soft).scatter(1, weight.topk(self.keep, dim=1).indices, 1.0)
        return items * (hard + (soft - soft.detach())).unsqueeze(-1)
