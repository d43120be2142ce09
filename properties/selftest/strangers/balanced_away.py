"""A learned score and a likeness to the whole picture, balanced by one weight."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class BalancedScore(nn.Module):
    def __init__(self, dim=32, keep=5, beta=0.5):
        super().__init__()
        self.keep, self.beta = keep, beta
        self.learned = nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, 1))
        self.project = nn.Linear(dim, dim)

    def forward(self, patches):
        known = self.project(patches)
        likeness = F.cosine_similarity(known, known.mean(dim=1, keepdim=True), dim=-1)
        score = (1 - 2 * self.beta) * self.learned(patches).squeeze(-1) + 2 * self.beta * likeness
        soft = score.softmax(dim=-1)
        hard = torch.zeros_like(soft).scatter(1, score.topk(self.keep, dim=1).indices, 1.0)
        decision = hard + (soft - soft.detach())
        return (patches * decision.unsqueeze(-1)).sum(dim=1)
