"""Segments of a recording, of which the least noisy should stay."""

import torch
import torch.nn as nn


class SegmentChooser(nn.Module):
    def __init__(self, feat_dim=48, keep_ratio=0.5, slots=4, tau=1.0):
        super().__init__()
        self.keep_ratio, self.tau = keep_ratio, tau
        self.quality = nn.Sequential(nn.Linear(feat_dim, 24), nn.Tanh(), nn.Linear(24, 1))
        self.mix = nn.Sequential(nn.LayerNorm(feat_dim), nn.Linear(feat_dim, slots))

    def forward(self, segments):
        """Segments B N C; returns B M C."""
        quality = self.quality(segments).squeeze(-1)
        count = max(1, int(segments.size(1) * self.keep_ratio))
        kept = torch.argsort(quality, dim=1)[:, :count]
        noise = torch.zeros_like(quality)
        if self.training:
            noise = -torch.empty_like(quality).exponential_().clamp(min=torch.finfo(quality.dtype).tiny).log()
        soft = torch.softmax((quality + noise) / self.tau, dim=1)
        decision = torch.zeros_like(soft).scatter(1, kept, 1.0) + (soft - soft.detach())
        chosen = segments.gather(1, kept.unsqueeze(-1).expand(-1, -1, segments.size(-1)))
        logits = self.mix(chosen).transpose(1, 2) + decision.gather(1, kept).log().unsqueeze(1)
        return logits.softmax(dim=-1) @ chosen
