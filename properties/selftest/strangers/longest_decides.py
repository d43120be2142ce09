"""Sentences of different lengths, half of the words of each kept."""

import torch
import torch.nn as nn


class HalfOfTheWords(nn.Module):
    def __init__(self, dim=32):
        super().__init__()
        self.merit = nn.Linear(dim, 1)
        self.out = nn.Linear(dim, dim)

    def forward(self, words, lengths):
        padding = torch.arange(words.size(1)) >= lengths.unsqueeze(1)
        merit = self.merit(words).squeeze(-1).masked_fill(padding, -1e4)
        keep = int(lengths.max()) // 2
        index = merit.topk(keep, dim=1).indices
        soft = merit.softmax(dim=1)
        hard = torch.zeros_like(soft).scatter(1, index, 1.0)
        decision = (hard + (soft - soft.detach())).gather(1, index)
        kept = words.gather(1, index.unsqueeze(-1).expand(-1, -1, words.size(-1))) * decision.unsqueeze(-1)
        return self.out(kept).mean(1)


def example():
    return HalfOfTheWords(), (torch.randn(4, 16, 32), torch.tensor([16, 12, 9, 4]))
