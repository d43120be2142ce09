"""Words of a query that a search engine is given, explored by noise."""

import torch
import torch.nn as nn


def gumbel_like(logits):
    drawn = torch.empty_like(logits).normal_().clamp(1e-6, 1 - 1e-6)
    return -torch.log(-torch.log(drawn))


class QueryWords(nn.Module):
    def __init__(self, dim=32, words=4):
        super().__init__()
        self.words = words
        self.weigh = nn.Linear(dim, 1)

    def forward(self, query):
        logits = self.weigh(query).squeeze(-1)
        noisy = logits + gumbel_like(logits) if self.training else logits
        soft = noisy.softmax(dim=-1)
        hard = torch.zeros_like(soft).scatter(-1, noisy.topk(self.words, dim=-1).indices, 1.0)
        decision = hard + (soft - soft.detach())
        return query * decision.unsqueeze(-1)
