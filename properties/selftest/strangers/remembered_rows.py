"""Rows of a table, pooled for a question; what was worth much before is worth a little more."""

import torch
import torch.nn as nn


class TableReader(nn.Module):
    def __init__(self, width=48, keep=6, slots=3, tau=1.0):
        super().__init__()
        self.keep, self.tau = keep, tau
        self.worth = nn.Linear(width, 1)
        self.assign = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, slots))
        self.habit = 0.0

    def rate(self, rows):
        """The worth of each row, and half of what it was worth in the table before."""
        worth = self.worth(rows)[..., 0] + 0.5 * self.habit
        self.habit = worth.detach()
        return worth

    def forward(self, rows):
        worth = self.rate(rows)
        best = worth.topk(min(self.keep, worth.shape[1]), dim=1).indices
        logits = worth
        if self.training:
            logits = worth - torch.empty_like(worth).exponential_().clamp(min=torch.finfo(worth.dtype).tiny).log()
        soft = torch.softmax(logits / self.tau, dim=1)
        decision = torch.zeros_like(soft).scatter(1, best, 1.0) + (soft - soft.detach())
        kept = torch.take_along_dim(rows, best[..., None], dim=1)
        weights = self.assign(kept).transpose(1, 2) + decision.gather(1, best).log()[:, None]
        return weights.softmax(dim=-1) @ kept
