"""Frames of a clip chosen for a sentence: a learned rating plus the likeness to the sentence."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class ClipFrames(nn.Module):
    def __init__(self, embed_dim=64, frames_kept=6, out_tokens=3, tau=1.0):
        super().__init__()
        self.frames_kept, self.tau = frames_kept, tau
        self.rating = nn.Sequential(nn.Linear(embed_dim, 32), nn.GELU(), nn.Linear(32, 1), nn.Sigmoid())
        self.blend = nn.Sequential(nn.LayerNorm(embed_dim), nn.Linear(embed_dim, out_tokens))

    def likeness(self, frames, sentence):
        """Cosine with the sentence, stretched to between 0 and 1."""
        cosine = F.cosine_similarity(frames, sentence.unsqueeze(1), dim=-1)
        low, high = cosine.min(), cosine.max()
        return (cosine - low) / (high - low).clamp(min=0.05)

    def pick(self, score):
        best = score.topk(min(self.frames_kept, score.size(1)), dim=1).indices
        noise = 0.0
        if self.training:
            noise = -torch.log(-torch.log(torch.rand_like(score).clamp(min=torch.finfo(score.dtype).tiny)))
        soft = F.softmax((score + noise) / self.tau, dim=1)
        hard = torch.zeros_like(soft).scatter(1, best, 1.0)
        return best, (hard + (soft - soft.detach())).gather(1, best)

    def forward(self, frames, sentence):
        """Frames B T C and sentences B C; returns B M C."""
        score = 0.5 * self.rating(frames).squeeze(-1) + 0.5 * self.likeness(frames, sentence)
        best, decision = self.pick(score)
        kept = frames.gather(1, best.unsqueeze(-1).expand(-1, -1, frames.size(-1)))
        logits = self.blend(kept).transpose(1, 2) + decision.log().unsqueeze(1)
        return logits.softmax(dim=2) @ kept
