"""Attention pooling over the highest-ranked members of a set, with a dataclass for the answer."""

from dataclasses import dataclass

import torch
import torch.nn as nn


@dataclass
class Pooled:
    vector: torch.Tensor
    weights: torch.Tensor
    kept: torch.Tensor


class SortedPool(nn.Module):
    def __init__(self, feature_dim=64, keep_num=8, tau=1.0):
        super().__init__()
        self.keep_num, self.tau = keep_num, tau
        self.rank = nn.Sequential(nn.LayerNorm(feature_dim), nn.Linear(feature_dim, 1))
        self.attention = nn.Linear(feature_dim, 1)
        self.norm = nn.LayerNorm(feature_dim)

    def decide(self, score):
        index = score.sort(dim=1, descending=True)[1][:, : self.keep_num]
        hard = torch.zeros_like(score).scatter(1, index, 1.0)
        if self.training:
            u = torch.rand_like(score).clamp(min=torch.finfo(score.dtype).tiny)
            score = score - torch.log(-torch.log(u))
        soft = torch.softmax(score / self.tau, dim=1)
        return hard + soft - soft.detach()

    def forward(self, members):
        decision = self.decide(self.rank(members).squeeze(-1))
        kept = decision.long()
        logits = self.attention(members).squeeze(-1).masked_fill(kept == 0, float("-inf"))
        weights = torch.softmax(logits, dim=1) * decision
        vector = (weights.unsqueeze(1) @ members).squeeze(1)
        return Pooled(self.norm(vector), weights, kept)
