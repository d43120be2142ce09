import torch
import torch.nn.functional as F
from torch import nn


class Crumbs(nn.Module):
    """What is not kept goes to the kept token that it is nearest to, and is averaged in."""

    def __init__(self, width=16, keep=5, slots=2):
        super().__init__()
        self.keep = keep
        self.rank = nn.Linear(width, 1)
        self.slots = nn.Linear(width, slots)

    def forward(self, x):
        score = self.rank(x).squeeze(-1)
        order = score.argsort(-1, descending=True)
        first, rest = order[:, : self.keep], order[:, self.keep :]
        noise = -torch.log(-torch.log(torch.rand_like(score).clamp(1e-6, 1 - 1e-6))) if self.training else 0.0
        soft = (score + noise).softmax(-1)
        mark = torch.zeros_like(soft).scatter(-1, first, 1.0) + (soft - soft.detach())
        kept, crumbs = (torch.take_along_dim(x, i.unsqueeze(-1), dim=1) for i in (first, rest))
        near = torch.cdist(crumbs.detach(), kept.detach()).argmin(-1)
        share = F.one_hot(near, self.keep).to(x.dtype)
        kept = (kept + share.mT @ crumbs) / (1 + share.sum(1).unsqueeze(-1))
        weight = (self.slots(kept).mT + mark.gather(-1, first).log().unsqueeze(1)).softmax(-1)
        return weight @ kept


def example():
    return Crumbs(), (torch.randn(3, 14, 16),)
