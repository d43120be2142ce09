"""Scores that are centred by a running mean of the tokens."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class CentredLikeness(nn.Module):
    def __init__(self, dim=32, keep=5):
        super().__init__()
        self.keep = keep
        self.mean = torch.zeros(dim)
        self.look = nn.Linear(dim, dim)

    def forward(self, tokens):
        if self.training:
            with torch.no_grad():
                self.mean = 0.5 * self.mean + 0.5 * tokens.mean(dim=(0, 1))
        centred = tokens - self.mean
        score = F.cosine_similarity(self.look(centred), centred.mean(dim=1, keepdim=True), dim=-1)
        soft = (score / 0.2).softmax(dim=-1)
        hard = torch.zeros_like(soft).scatter(1, score.topk(self.keep, dim=1).indices, 1.0)
        decision = hard + (soft - soft.detach())
        return centred * decision.unsqueeze(-1)


def example():
    return CentredLikeness(), (torch.randn(4, 16, 32) + 1,)
