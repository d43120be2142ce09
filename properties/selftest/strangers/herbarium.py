import torch
from torch import nn


def to_sphere(x):
    x.mul_(x.norm(dim=-1, keepdim=True).clamp_min(1e-6).reciprocal())
    return x


class Herbarium(nn.Module):
    """Leaves of a specimen sheet, chosen by likeness to a reference leaf and by a learned worth."""

    def __init__(self, raw=18, dim=24, keep=5, parts=3):
        super().__init__()
        self.keep = keep
        self.embed = nn.Linear(raw, dim)
        self.worth = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 1))
        self.parts = nn.Linear(dim, parts)

    def forward(self, sheet, reference):
        leaves = self.embed(sheet)
        likeness = (to_sphere(leaves.detach()) * to_sphere(reference.detach().clone()).unsqueeze(1)).sum(-1)
        score = self.worth(leaves).squeeze(-1) + likeness
        best = score.topk(self.keep, dim=1).indices
        shaken = score - torch.log(-torch.log(torch.rand_like(score).clamp(1e-6, 1 - 1e-6))) if self.training else score
        soft = shaken.softmax(dim=1)
        mark = (torch.zeros_like(score).scatter(1, best, 1.0) + (soft - soft.detach())).gather(1, best)
        kept = leaves.gather(1, best.unsqueeze(-1).expand(-1, -1, leaves.size(-1)))
        weight = torch.softmax(self.parts(kept).transpose(1, 2) + mark.log().unsqueeze(1), dim=-1)
        return weight @ kept


def example():
    return Herbarium(), (torch.randn(2, 20, 18), torch.randn(2, 24))
