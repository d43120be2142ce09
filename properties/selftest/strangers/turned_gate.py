"""Gates over the sentences of a report, each opened by its own draw."""

import torch
import torch.nn as nn


class SentenceGates(nn.Module):
    def __init__(self, dim=32):
        super().__init__()
        self.ask = nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, 1))
        self.read = nn.Linear(dim, dim)

    def forward(self, sentences):
        chance = torch.sigmoid(self.ask(sentences)).squeeze(-1)
        threshold = torch.rand_like(chance) if self.training else torch.full_like(chance, 0.5)
        opened = (chance > threshold).float()
        gate = opened - (chance - chance.detach())
        return self.read(sentences) * gate.unsqueeze(-1)
