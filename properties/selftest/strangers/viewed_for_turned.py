"""Two readers, each with a score of its own for every page."""

import torch
import torch.nn as nn


class ViewedForTurned(nn.Module):
    def __init__(self, dim=32, readers=2, keep=5):
        super().__init__()
        self.readers, self.keep = readers, keep
        self.weigh = nn.Linear(dim, readers)

    def forward(self, pages):
        batch, count, _ = pages.shape
        weight = self.weigh(pages).view(batch, self.readers, count)
        soft = weight.softmax(dim=-1)
        hard = torch.zeros_like(soft).scatter(-1, weight.topk(self.keep, dim=-1).indices, 1.0)
        decision = hard + (soft - soft.detach())
        return torch.einsum("brn,bnc->brc", decision, pages) / self.keep
