"""Feature maps with their channels first: each place is brought to length one, and maps are pooled and compared."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class MapsFirst(nn.Module):
    def __init__(self, channels=20, keep=6):
        super().__init__()
        self.keep = keep
        self.stem = nn.Conv1d(channels, channels, 3, padding=1)
        self.rate = nn.Conv1d(channels, 1, 1)
        self.ask = nn.Linear(channels, channels)

    def forward(self, signal, query):
        places = F.normalize(self.stem(signal))
        rate = self.rate(places).squeeze(1)
        soft = rate.softmax(dim=-1)
        index = rate.topk(self.keep, dim=-1).indices
        chosen = torch.zeros_like(soft).scatter(1, index, 1.0) + (soft - soft.detach())
        kept = places * chosen.unsqueeze(1)
        pooled = torch.bmm(kept, rate.unsqueeze(-1)).squeeze(-1)
        second = torch.bmm(kept, places.transpose(1, 2)).flatten(1)
        asked = F.normalize(self.ask(query))
        likeness = torch.einsum("bcn,bc->bn", places, asked)
        return pooled, second, likeness.mean(1)


def example():
    return MapsFirst(), (torch.randn(4, 20, 15), torch.randn(4, 20))
