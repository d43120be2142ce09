"""Dropped tokens are added to the kept one that they are most like; a reader attends to the kept ones alone."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class MergingReader(nn.Module):
    def __init__(self, dim=32, keep=5, heads=4):
        super().__init__()
        self.keep = keep
        self.importance = nn.Linear(dim, 1)
        self.teacher = nn.Linear(dim, 1).requires_grad_(False)
        self.reader = nn.MultiheadAttention(dim, heads, batch_first=True)

    def forward(self, tokens):
        importance = self.importance(tokens).squeeze(-1)
        soft = importance.softmax(dim=-1)
        chosen = importance.topk(self.keep, dim=1).indices
        hard = torch.zeros_like(soft).scatter(1, chosen, 1.0)
        decision = hard + (soft - soft.detach())
        kept = hard > 0
        likeness = (tokens @ tokens.transpose(1, 2)).masked_fill(~kept.unsqueeze(1), -torch.inf)
        nearest = torch.where(kept, torch.arange(tokens.shape[1]), likeness.argmax(dim=-1))
        rows = torch.arange(len(tokens)).unsqueeze(1).expand_as(nearest)
        merged = torch.zeros_like(tokens).index_put((rows, nearest), tokens, accumulate=True)
        merged = merged * decision.unsqueeze(-1)
        read, _ = self.reader(merged, merged, merged, key_padding_mask=~kept)
        target = self.teacher(tokens).squeeze(-1).softmax(dim=-1)
        imitation = F.kl_div(importance.log_softmax(dim=-1), target, reduction="batchmean")
        return read * decision.unsqueeze(-1), imitation


def example():
    return MergingReader(), (torch.randn(3, 12, 32),)
