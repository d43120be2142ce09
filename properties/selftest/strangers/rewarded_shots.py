"""Shots of a film, drawn and then judged by how well they tell its genre."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class RewardedShots(nn.Module):
    def __init__(self, dim=32, shots=3, genres=4, entropy=1e-3):
        super().__init__()
        self.shots, self.entropy = shots, entropy
        self.pick = nn.Linear(dim, 1)
        self.tell = nn.Sequential(nn.Linear(dim, 32), nn.GELU(), nn.Linear(32, genres))

    def forward(self, film, genre):
        chance = torch.log_softmax(self.pick(film).squeeze(-1), dim=-1)
        drawn = torch.multinomial(chance.detach().exp(), self.shots)
        seen = film.gather(1, drawn.unsqueeze(-1).expand(-1, -1, film.shape[-1])).mean(1)
        cost = F.cross_entropy(self.tell(seen), genre, reduction="none")
        better = cost.detach() - cost.detach().mean()
        gain = better * chance.gather(1, drawn).sum(1)
        spread = -(chance.exp() * chance).sum(-1).mean()
        return cost.mean() - gain.mean() - self.entropy * spread


def example():
    torch.manual_seed(5)
    return RewardedShots(), (torch.randn(4, 12, 32), torch.tensor([0, 3, 1, 2]))
