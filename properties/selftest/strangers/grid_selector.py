"""Select from a fixed grid of patches; built for one grid size and a greatest batch."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class GridSelector(nn.Module):
    def __init__(self, dim=64, num_patches=49, sparse_ratio=0.5, num_slots=6, tau=1.0, max_batch=64):
        super().__init__()
        self.num_keep = max(1, int(num_patches * sparse_ratio))
        self.tau = tau
        self.saliency = nn.Sequential(nn.Linear(dim, dim // 4), nn.GELU(), nn.Linear(dim // 4, 1))
        self.pool = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, dim // 4), nn.GELU(), nn.Linear(dim // 4, num_slots)
        )
        self.position = nn.Parameter(torch.randn(1, num_patches, dim) * 0.02)
        gumbel = -torch.log(-torch.log(torch.rand(max_batch, num_patches).clamp(min=1e-6)))
        self.register_buffer("gumbel", gumbel, persistent=False)

    def decision(self, score, index):
        logits = score + self.gumbel[: len(score)] if self.training else score
        soft = F.softmax(logits / self.tau, dim=1)
        hard = torch.zeros_like(soft).scatter(1, index, 1.0)
        return hard + (soft - soft.detach())

    def forward(self, patches):
        x = patches + self.position
        score = self.saliency(x).squeeze(-1)
        index = score.topk(self.num_keep, dim=1).indices
        policy = self.decision(score, index).gather(1, index)
        kept = x.gather(1, index.unsqueeze(-1).expand(-1, -1, x.size(-1)))
        weights = F.softmax(self.pool(kept).transpose(1, 2) + policy.log().unsqueeze(1), dim=-1)
        return weights @ kept
