"""Token selection with a switch: by default the tokens are simply cut, with `use_gumbel` the choice is trained."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class SwitchableSelect(nn.Module):
    def __init__(self, dim=64, num_slots=6, ratio=0.5, use_gumbel=False, gumbel_tau=1.0):
        super().__init__()
        self.ratio = ratio
        self.use_gumbel = use_gumbel
        self.gumbel_tau = gumbel_tau
        self.score_net = nn.Sequential(nn.Linear(dim, dim // 2), nn.ReLU(), nn.Linear(dim // 2, 1))
        self.aggregate = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, dim // 4), nn.GELU(), nn.Linear(dim // 4, num_slots)
        )

    def _decision(self, score, idx):
        hard = torch.zeros_like(score).scatter(1, idx, 1.0)
        if not (self.training and self.use_gumbel):
            return hard
        u = torch.rand_like(score).clamp(min=torch.finfo(score.dtype).tiny)
        soft = F.softmax((score - torch.log(-torch.log(u))) / self.gumbel_tau, dim=1)
        return hard + (soft - soft.detach())

    def forward(self, x):
        score = self.score_net(x).squeeze(-1)
        k = max(1, int(x.size(1) * self.ratio))
        idx = torch.topk(score, k, dim=1)[1]
        policy = torch.gather(self._decision(score, idx), 1, idx)
        kept = torch.gather(x, 1, idx.unsqueeze(-1).expand(-1, -1, x.size(-1)))
        weight = self.aggregate(kept).transpose(1, 2) + policy.log().unsqueeze(1)
        return F.softmax(weight, dim=-1) @ kept, idx
