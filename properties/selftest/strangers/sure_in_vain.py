"""Keep or drop, drawn from the odds of a small head."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class SureInVain(nn.Module):
    def __init__(self, dim=32):
        super().__init__()
        self.odds = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 2))

    def forward(self, stars):
        odds = torch.softmax(self.odds(stars), dim=-1)
        if self.training:
            stays = F.gumbel_softmax(odds, tau=1.0, hard=True, dim=-1)[..., 1]
        else:
            stays = (odds[..., 1] > 0.5).to(stars.dtype)
        return stars * stays.unsqueeze(-1)
