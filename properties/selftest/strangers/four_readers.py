"""Four readers, each with a question of its own, look at the words of a note that were chosen."""

import torch
import torch.nn as nn


class FourReaders(nn.Module):
    def __init__(self, dim=32, readers=4, words=6):
        super().__init__()
        self.words = words
        self.question = nn.Parameter(torch.randn(readers, dim) * dim**-0.5)
        self.weight = nn.Linear(dim, 1)
        self.key = nn.Linear(dim, dim, bias=False)
        self.value = nn.Linear(dim, dim, bias=False)

    def choose(self, note):
        weight = self.weight(note).squeeze(-1)
        soft = torch.softmax(weight, dim=-1)
        index = weight.topk(self.words, dim=-1).indices
        hard = torch.zeros_like(soft).scatter_(-1, index, 1.0)
        return (hard + (soft - soft.detach())).gather(-1, index), index

    def forward(self, note):
        decision, index = self.choose(note)
        words = note.gather(1, index.unsqueeze(-1).expand(-1, -1, note.shape[-1]))
        attention = torch.softmax(self.question @ self.key(words).transpose(1, 2), dim=-1)
        attention = attention * decision
        return (attention @ self.value(words)).flatten(1)


def example():
    return FourReaders(), (torch.randn(4, 15, 32),)
