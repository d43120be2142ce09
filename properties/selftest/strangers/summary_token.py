"""Slots for the tokens that were kept and one summary of those that were not."""

from types import SimpleNamespace

import torch
import torch.nn as nn


class SummaryToken(nn.Module):
    def __init__(self, args=None):
        super().__init__()
        self.args = args = args or SimpleNamespace(d_model=64, keep_ratio=0.6, n_slots=5, tau=1.0)
        d = args.d_model
        self.score_mlp = nn.Sequential(nn.Linear(d, d // 2), nn.GELU(), nn.Linear(d // 2, 1))
        self.slot_mlp = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, d // 4), nn.GELU(), nn.Linear(d // 4, args.n_slots))

    @staticmethod
    def rows(x, index):
        return x.gather(1, index.unsqueeze(-1).expand(-1, -1, x.shape[-1]))

    def straight_through(self, score, keep):
        noisy = score
        if self.training:
            noisy = score - torch.empty_like(score).exponential_().clamp(min=torch.finfo(score.dtype).tiny).log()
        soft = torch.softmax(noisy / self.args.tau, dim=-1)
        hard = torch.zeros_like(soft).scatter(1, keep, 1.0)
        return hard + (soft - soft.detach())

    def forward(self, hidden):
        score = self.score_mlp(hidden)[..., 0]
        k = max(1, int(score.shape[1] * self.args.keep_ratio))
        order = score.argsort(dim=1, descending=True)
        keep, drop = order[:, :k], order[:, k:]
        policy = self.straight_through(score, keep).gather(1, keep)

        kept = self.rows(hidden, keep)
        logits = self.slot_mlp(kept).transpose(1, 2) + policy.log().unsqueeze(1)
        slots = logits.softmax(dim=-1) @ kept

        share = score.gather(1, keep).softmax(dim=1)
        summary = share.unsqueeze(1) @ self.rows(hidden, keep)
        return torch.cat([slots, summary], dim=1), drop
