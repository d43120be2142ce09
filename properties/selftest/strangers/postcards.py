import torch
from torch import nn


class Postcards(nn.Module):
    """Regions of a picture that a caption is nearest to. The picture is encoded here; the caption is given."""

    def __init__(self, width=16, keep=5, slots=3):
        super().__init__()
        self.keep = keep
        self.encode = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        self.slots = nn.Linear(width, slots)

    @torch.no_grad()
    def nearest(self, regions, caption):
        near = torch.einsum("bnc,bc->bn", regions, caption)
        index = near.topk(self.keep, dim=1).indices
        return torch.gather(regions, 1, index.unsqueeze(-1).expand(-1, -1, regions.shape[-1]))

    def forward(self, regions, caption):
        regions = self.encode(regions)
        kept = self.nearest(regions, caption)
        return self.slots(kept).softmax(dim=1).mT @ kept


def example():
    return Postcards(), (torch.randn(3, 15, 16), torch.randn(3, 16))
