"""Scan patches chosen for the words of a finding, of which each scan has another number."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class RadiologyWords(nn.Module):
    def __init__(self, dim=64, keep_ratio=0.5, slots=6, tau=1.0):
        super().__init__()
        self.keep_ratio = keep_ratio
        self.tau = tau
        self.word_proj = nn.Linear(dim, dim)
        self.bias = nn.Linear(dim, 1)
        self.aggregate = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, dim // 4), nn.GELU(), nn.Linear(dim // 4, slots)
        )

    def relevance(self, scan, words, word_lens):
        """The best match of a patch with any word that is there, plus a bias of its own."""
        match = F.normalize(scan, dim=-1) @ F.normalize(self.word_proj(words), dim=-1).transpose(1, 2)  # B N L
        there = torch.arange(words.size(1), device=words.device) < torch.tensor(word_lens, device=words.device)[:, None]
        match = match.masked_fill(~there[:, None], -1.0).max(dim=2)[0]
        return match + torch.tanh(self.bias(scan)).squeeze(-1)

    def gumbel(self, score):
        uniform = torch.rand(score.size(1), dtype=score.dtype, device=score.device)
        return -torch.log(-torch.log(uniform.clamp(min=torch.finfo(score.dtype).tiny)))

    def forward(self, scan, words, word_lens):
        score = self.relevance(scan, words, word_lens)
        keep = score.topk(max(1, int(scan.size(1) * self.keep_ratio)), dim=1)[1]
        noisy = score + self.gumbel(score) if self.training else score
        soft = F.softmax(noisy / self.tau, dim=1)
        hard = torch.zeros_like(soft).scatter(1, keep, 1.0)
        policy = (hard + (soft - soft.detach())).gather(1, keep)

        patches = scan.gather(1, keep.unsqueeze(-1).expand(-1, -1, scan.size(-1)))
        logits = self.aggregate(patches).transpose(1, 2) + policy.log().unsqueeze(1)
        return torch.bmm(F.softmax(logits, dim=-1), patches), policy.detach()
