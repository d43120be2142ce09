"""Tokens merged into the few that are rated best, and the rating itself, for whoever has labels for it."""

import torch
import torch.nn as nn


class RatedMerge(nn.Module):
    def __init__(self, token_dim=48, keep=6):
        super().__init__()
        self.keep = keep
        self.rate = nn.Sequential(nn.Linear(token_dim, 16), nn.ReLU(), nn.Linear(16, 1))
        self.value = nn.Linear(token_dim, token_dim)

    def forward(self, tokens):
        """Tokens B N C; returns the merged tokens B K C and the rating B N."""
        rating = self.rate(tokens).squeeze(-1)
        best = rating.topk(min(self.keep, rating.shape[1]), dim=1).indices
        chosen = torch.take_along_dim(tokens, best[..., None], dim=1)
        share = (chosen @ tokens.transpose(1, 2) / tokens.shape[-1] ** 0.5).softmax(dim=-1)
        return share @ self.value(tokens), rating
