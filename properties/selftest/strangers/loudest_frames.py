"""The loudest frames of a recording; silence has no loudness at all."""

import torch
import torch.nn as nn


class LoudestFrames(nn.Module):
    def __init__(self, dim=32, keep=3):
        super().__init__()
        self.keep = keep
        self.loudness = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, 1), nn.ReLU())
        self.voice = nn.Linear(dim, dim)

    def forward(self, frames):
        loudness = self.loudness(frames).squeeze(-1)
        noise = -torch.log(-torch.log(torch.rand_like(loudness).clamp(1e-6, 1 - 1e-6))) if self.training else 0.0
        soft = torch.softmax(loudness + noise, dim=-1)
        index = loudness.topk(self.keep, dim=-1).indices
        hard = torch.zeros_like(soft).scatter(-1, index, 1.0)
        decision = (hard + (soft - soft.detach())).gather(-1, index)
        kept = self.voice(frames).gather(1, index.unsqueeze(-1).expand(-1, -1, frames.shape[-1]))
        return (kept * decision.unsqueeze(-1)).mean(1)
