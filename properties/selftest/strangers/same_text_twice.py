"""Patches scored by their likeness to a title and to a description."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class TitleAndDescription(nn.Module):
    def __init__(self, dim=32, keep=5):
        super().__init__()
        self.keep = keep
        self.own = nn.Linear(dim, 1)
        self.project = nn.Linear(dim, dim)

    def likeness(self, patches, text):
        return F.cosine_similarity(self.project(patches), text.unsqueeze(1), dim=-1)

    def forward(self, patches, title, description):
        by_title = self.likeness(patches, title)
        by_description = self.likeness(patches, title)
        score = self.own(patches).squeeze(-1).sigmoid() + 0.5 * (by_title + by_description)
        soft = score.softmax(dim=-1)
        hard = torch.zeros_like(soft).scatter(1, score.topk(self.keep, dim=1).indices, 1.0)
        decision = hard + (soft - soft.detach())
        pooled = (patches * decision.unsqueeze(-1)).sum(dim=1)
        return F.cosine_similarity(pooled, title, dim=-1), F.cosine_similarity(pooled, description, dim=-1)


def example():
    return TitleAndDescription(), (torch.randn(3, 12, 32), torch.randn(3, 32), torch.randn(3, 32))
