"""Keep what a question attends to."""

import torch
import torch.nn as nn


class QuestionedRegions(nn.Module):
    def __init__(self, dim=32, keep=6):
        super().__init__()
        self.keep = keep
        self.query, self.key = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, regions, words):
        attention = torch.softmax(self.query(regions) @ self.key(words).transpose(1, 2), dim=-1)
        relevance = attention.sum(dim=-1)
        soft = relevance.softmax(dim=-1)
        hard = torch.zeros_like(soft).scatter(-1, relevance.topk(self.keep, dim=-1).indices, 1.0)
        return regions * (hard + (soft - soft.detach())).unsqueeze(-1)
