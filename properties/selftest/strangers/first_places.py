"""Places are learned, and given to what is left."""

import torch
import torch.nn as nn


class FirstPlaces(nn.Module):
    def __init__(self, dim=32, count=16, keep=6):
        super().__init__()
        self.keep = keep
        self.weigh = nn.Linear(dim, 1)
        self.places = nn.Parameter(0.1 * torch.randn(1, count, dim))

    def forward(self, tiles):
        weight = self.weigh(tiles).squeeze(-1)
        soft = weight.softmax(dim=-1)
        index = weight.topk(self.keep, dim=1).indices
        decision = torch.zeros_like(soft).scatter(1, index, 1.0) + (soft - soft.detach())
        chosen = tiles.gather(1, index.unsqueeze(-1).expand(-1, -1, tiles.shape[-1]))
        chosen = chosen * decision.gather(1, index).unsqueeze(-1)
        return chosen + self.places[:, : chosen.shape[1]]
