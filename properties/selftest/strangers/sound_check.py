import torch
from torch import nn


class SoundCheck(nn.Module):
    """Keeps the loudest moments; its softmax is written out."""

    def __init__(self, width=16, keep=5, slots=2, tau=0.5):
        super().__init__()
        self.keep, self.tau = keep, tau
        self.loud = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1))
        self.slots = nn.Linear(width, slots)

    def chances(self, loud):
        noise = -torch.log(-torch.log(torch.rand_like(loud).clamp(1e-6, 1 - 1e-6))) if self.training else 0.0
        lifted = torch.exp((loud + noise) / self.tau)
        return lifted / lifted.sum(dim=1, keepdim=True)

    def forward(self, sound):
        loud = self.loud(sound).squeeze(-1)
        chances = self.chances(loud)
        best = loud.topk(self.keep, dim=1).indices
        keep = torch.zeros_like(chances).scatter(1, best, 1.0) + (chances - chances.detach())
        heard = torch.take_along_dim(sound, best.unsqueeze(-1), dim=1)
        weight = (self.slots(heard).mT + keep.gather(1, best).log().unsqueeze(1)).softmax(-1)
        return weight @ heard


def example():
    return SoundCheck(), (torch.randn(3, 14, 16),)
