"""Keep or drop for every point, drawn while training and ranked in use."""

import torch.nn as nn
import torch.nn.functional as F


class OtherChannelLater(nn.Module):
    def __init__(self, dim=32, keep_share=0.5):
        super().__init__()
        self.keep_share = keep_share
        self.policy = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 2))

    def forward(self, points):
        odds = self.policy(points)
        if self.training:
            stays = F.gumbel_softmax(odds, hard=True, dim=-1)[..., 0]
            return (points * stays.unsqueeze(-1)).mean(1)
        count = max(1, int(self.keep_share * points.shape[1]))
        index = odds[..., 1].topk(count, dim=1).indices
        return points.gather(1, index.unsqueeze(-1).expand(-1, -1, points.shape[-1])).mean(1)
