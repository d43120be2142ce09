"""Words of sentences of several lengths."""

import torch
import torch.nn as nn


class PaddingBeatsWords(nn.Module):
    def __init__(self, dim=32, keep=5):
        super().__init__()
        self.keep = keep
        self.weigh = nn.Linear(dim, 1)

    def forward(self, words, valid):
        weight = self.weigh(words).squeeze(-1) - 3.0
        weight = weight * valid
        soft = weight.softmax(dim=-1)
        index = weight.topk(self.keep, dim=1).indices
        decision = torch.zeros_like(soft).scatter(1, index, 1.0) + (soft - soft.detach())
        return (words * decision.unsqueeze(-1)).sum(1)


def example():
    torch.manual_seed(0)
    valid = (torch.arange(12) < torch.tensor([[12], [7], [9]])).float()
    return PaddingBeatsWords(), (torch.randn(3, 12, 32), valid)
