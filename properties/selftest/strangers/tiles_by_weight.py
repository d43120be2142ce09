"""The tiles of a slide with the highest scores, weighted by a softmax of those scores; no straight-through decision."""

import torch
import torch.nn as nn


class TilesByWeight(nn.Module):
    def __init__(self, dim=32, keep=5):
        super().__init__()
        self.keep = keep
        self.read = nn.Sequential(nn.Linear(dim, dim), nn.ReLU())
        self.score = nn.Sequential(nn.Linear(dim, dim), nn.Tanh(), nn.Linear(dim, 1))
        self.head = nn.Linear(dim, 2)

    def forward(self, tiles):
        tiles = self.read(tiles)
        score = self.score(tiles).squeeze(-1)
        index = score.topk(self.keep, dim=1).indices.sort(dim=1).values
        weight = score.gather(1, index).softmax(dim=-1)
        kept = tiles.gather(1, index.unsqueeze(-1).expand(-1, -1, tiles.shape[-1]))
        return self.head((torch.tanh(kept) * weight.unsqueeze(-1)).sum(dim=1))
