import torch
from torch import nn


class Shelf(nn.Module):
    """Book spines on a shelf photograph; the query says which ones to read."""

    def __init__(self, width=24, read=6, lines=3):
        super().__init__()
        self.read = read
        self.worth = nn.Linear(width, 1)
        self.lines = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, lines))

    def forward(self, spines, query):
        worth = self.worth(spines + query.unsqueeze(1)).squeeze(-1)
        top = worth.topk(self.read, dim=-1).indices
        loud = worth
        if self.training:
            loud = worth - torch.log(-torch.log(torch.rand_like(worth).clamp(1e-6, 1 - 1e-6)))
        soft = loud.softmax(-1)
        gate = torch.zeros_like(worth).scatter(-1, top, 1.0) + (soft - soft.detach())
        chosen = torch.take_along_dim(spines, top.unsqueeze(-1), dim=1)
        share = self.lines(chosen).transpose(1, 2) * gate.gather(-1, top).unsqueeze(1)
        return share.softmax(-1) @ chosen


def example():
    return Shelf(), (torch.randn(3, 18, 24), torch.randn(3, 24))
