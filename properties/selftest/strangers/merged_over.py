"""Dropped tokens are merged into the kept one that they are most like."""

import torch
import torch.nn as nn


class MergingLayer(nn.Module):
    def __init__(self, dim=32, keep=4):
        super().__init__()
        self.keep = keep
        self.importance = nn.Linear(dim, 1)

    def forward(self, tokens):
        importance = self.importance(tokens).squeeze(-1)
        soft = importance.softmax(dim=-1)
        order = importance.argsort(dim=1, descending=True)
        chosen, others = order[:, : self.keep], order[:, self.keep :]
        hard = torch.zeros_like(soft).scatter(1, chosen, 1.0)
        decision = (hard + (soft - soft.detach())).gather(1, chosen)
        rows = torch.arange(len(tokens)).unsqueeze(1)
        kept, rest = tokens[rows, chosen], tokens[rows, others]
        nearest = (rest @ kept.transpose(1, 2)).argmax(dim=-1)
        merged = kept * decision.unsqueeze(-1)
        merged[rows, nearest] += rest
        return merged
