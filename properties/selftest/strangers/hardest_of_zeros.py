"""Selected parts of pedestrians, with a triplet loss over the batch."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class PartsWithTriplets(nn.Module):
    def __init__(self, dim=32, keep=5, margin=0.3):
        super().__init__()
        self.keep, self.margin = keep, margin
        self.score = nn.Linear(dim, 1)
        self.embed = nn.Linear(dim, dim)

    def triplets(self, embedded, identity):
        distance = (embedded.unsqueeze(1) - embedded.unsqueeze(0)).square().sum(dim=-1)
        same = (identity.unsqueeze(1) == identity.unsqueeze(0)).float()
        furthest = (distance * same).amax(dim=1)
        nearest = (distance * (1 - same)).amin(dim=1)
        return F.relu(self.margin + furthest - nearest).mean()

    def forward(self, parts, identity):
        score = self.score(parts).squeeze(-1)
        soft = score.softmax(dim=-1)
        hard = torch.zeros_like(soft).scatter(1, score.topk(self.keep, dim=1).indices, 1.0)
        decision = hard + (soft - soft.detach())
        embedded = self.embed((parts * decision.unsqueeze(-1)).sum(dim=1))
        return embedded, self.triplets(embedded, identity)


def example():
    return PartsWithTriplets(), (torch.randn(6, 12, 32), torch.tensor([0, 0, 1, 1, 2, 2]))
