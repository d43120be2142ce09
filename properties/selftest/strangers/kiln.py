import torch
from torch import nn


class Kiln(nn.Module):
    """Shards are picked at a heat that is learned, and held above a least one."""

    def __init__(self, clay=20, shards=5, pots=3, least=0.2):
        super().__init__()
        self.shards, self.least = shards, least
        self.heat = nn.Parameter(torch.full((1,), 0.1))
        self.worth = nn.Linear(clay, 1)
        self.pots = nn.Linear(clay, pots)

    def forward(self, heap):
        worth = self.worth(heap).flatten(1)
        top = worth.topk(self.shards, dim=1).indices
        noise = -torch.log(-torch.log(torch.rand_like(worth).clamp(1e-6, 1 - 1e-6))) if self.training else 0.0
        soft = ((worth + noise) / torch.clamp(self.heat, min=self.least)).softmax(dim=1)
        hard = torch.zeros_like(worth).scatter(1, top, 1.0)
        glaze = (hard + (soft - soft.detach())).gather(1, top)
        picked = heap[torch.arange(len(heap))[:, None], top]
        return (self.pots(picked).mT + glaze.log().unsqueeze(1)).softmax(-1) @ picked


def example():
    return Kiln(), (torch.randn(2, 19, 20),)
