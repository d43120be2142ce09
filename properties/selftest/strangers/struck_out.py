"""Sentences for a summary, taken one by one so that none repeats another."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class StruckOut(nn.Module):
    def __init__(self, dim=32, keep=5):
        super().__init__()
        self.keep = keep
        self.worth = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 1))
        self.read = nn.Linear(dim, dim)

    def one_by_one(self, worth, sentences):
        likeness = F.normalize(sentences.detach(), dim=-1) @ F.normalize(sentences.detach(), dim=-1).transpose(1, 2)
        open_ones = worth.detach()
        taken = torch.zeros_like(open_ones)
        for _ in range(self.keep):
            said = (likeness * taken.unsqueeze(1)).amax(-1)
            best = (open_ones - 0.3 * said).argmax(-1, keepdim=True)
            taken.scatter_(1, best, 1.0)
            open_ones.scatter_(1, best, float("-inf"))
        return taken

    def forward(self, sentences):
        worth = self.worth(sentences).squeeze(-1)
        taken = self.one_by_one(worth, sentences)
        noise = -torch.log(-torch.log(torch.rand_like(worth).clamp(1e-6, 1 - 1e-6))) if self.training else 0.0
        soft = torch.softmax(worth + noise, dim=-1)
        decision = taken + (soft - soft.detach())
        return (self.read(sentences) * decision.unsqueeze(-1)).sum(1)
