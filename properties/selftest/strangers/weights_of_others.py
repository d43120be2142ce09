"""The moments of a game with the highest scores, in the order of time, each with its weight."""

import torch
import torch.nn as nn


class GameMoments(nn.Module):
    def __init__(self, dim=32, keep=5):
        super().__init__()
        self.keep = keep
        self.excitement = nn.Linear(dim, 1)
        self.tell = nn.Linear(dim, dim)

    def forward(self, moments):
        share = self.excitement(moments).squeeze(-1).softmax(dim=-1)
        weight, index = share.topk(self.keep, dim=1)
        index = index.sort(dim=1).values
        kept = torch.take_along_dim(moments, index.unsqueeze(-1), dim=1)
        return torch.tanh(self.tell(kept)) * weight.unsqueeze(-1)
