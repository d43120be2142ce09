"""People are found by what they wear; the garments that count are chosen, and pairs are told apart by a margin."""

import torch
import torch.nn as nn


class GarmentSearch(nn.Module):
    def __init__(self, width=24, garments=4, margin=0.5):
        super().__init__()
        self.garments, self.margin = garments, margin
        self.worth = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1))
        self.look = nn.Linear(width, width)
        self.say = nn.Linear(width, width)

    def ranking_loss(self, seen, said, person):
        closeness = -torch.cdist(seen, said)
        own = person[:, None] == person[None, :]
        positive = closeness.diagonal()
        hardest = closeness.masked_fill(own, 0.0).max(dim=1).values
        return (self.margin + hardest - positive).clamp(min=0).mean()

    def forward(self, regions, sentence, person):
        worth = self.worth(regions).squeeze(-1)
        chance = worth.softmax(dim=1)
        best = worth.topk(self.garments, dim=1).indices
        hard = torch.zeros_like(chance).scatter(1, best, 1.0)
        taken = hard + (chance - chance.detach())
        seen = self.look((regions * taken.unsqueeze(-1)).sum(dim=1) / self.garments)
        return seen, self.ranking_loss(seen, self.say(sentence), person)


def example():
    return GarmentSearch(), (torch.randn(6, 11, 24), torch.randn(6, 24), torch.tensor([3, 3, 5, 7, 7, 8]))
