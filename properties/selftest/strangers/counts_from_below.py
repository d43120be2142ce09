"""Samples above the K-th value."""

import torch.nn as nn


class CountsFromBelow(nn.Module):
    def __init__(self, dim=32, keep_ratio=0.25):
        super().__init__()
        self.keep_ratio = keep_ratio
        self.weigh = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 1))

    def forward(self, samples):
        weight = self.weigh(samples).squeeze(-1)
        count = max(1, round(self.keep_ratio * weight.shape[1]))
        border = weight.kthvalue(count, dim=1, keepdim=True).values
        hard = (weight >= border).to(weight.dtype)
        soft = weight.softmax(dim=-1)
        return samples * (hard + (soft - soft.detach())).unsqueeze(-1)
