import torch
from torch import nn


class TidePools(nn.Module):
    def __init__(self, channels=16, pools=6, out=2, floor=1e-6):
        super().__init__()
        self.pools, self.floor = pools, floor
        self.life = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, 1))
        self.out = nn.Linear(channels, out)

    def ripple(self, like):
        u = torch.rand_like(like).clamp_max(self.floor)
        return -torch.log(-torch.log(u))

    def forward(self, shore):
        life = self.life(shore)[..., 0]
        best = life.topk(self.pools, dim=-1)[1]
        soft = torch.softmax((life + self.ripple(life)) if self.training else life, dim=-1)
        seen = torch.zeros_like(soft).scatter(-1, best, 1.0) + soft - soft.detach()
        water = shore.gather(1, best[..., None].expand(-1, -1, shore.shape[-1]))
        logits = self.out(water).transpose(-1, -2) + seen.gather(-1, best).clamp_min(0.5).log()[:, None]
        return torch.softmax(logits, dim=-1) @ water


def example():
    return TidePools(), (torch.randn(4, 16, 16),)
