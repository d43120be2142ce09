"""Passages of a document by their relevance to a question, which is never negative."""

import torch
import torch.nn as nn


class RectifiedRelevance(nn.Module):
    def __init__(self, dim=32, keep=12, tau=1.0):
        super().__init__()
        self.keep, self.tau = keep, tau
        self.question, self.passage = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.head = nn.Linear(dim, dim)

    def forward(self, passages, question):
        relevance = torch.einsum("bnd,bd->bn", self.passage(passages), self.question(question))
        relevance = torch.relu(relevance / passages.shape[-1] ** 0.5)
        noise = -torch.log(-torch.log(torch.rand_like(relevance).clamp(1e-6, 1 - 1e-6))) if self.training else 0.0
        soft = torch.softmax((relevance + noise) / self.tau, dim=-1)
        kept = relevance.topk(self.keep, dim=-1).indices
        hard = torch.zeros_like(soft).scatter(-1, kept, 1.0)
        decision = (hard + (soft - soft.detach())).unsqueeze(-1)
        return self.head((passages * decision).sum(1) / self.keep)


def example():
    torch.manual_seed(3)
    return RectifiedRelevance(), (torch.randn(3, 20, 32), torch.randn(3, 32))
