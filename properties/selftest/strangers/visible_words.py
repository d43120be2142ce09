"""Words that a policy keeps attend to each other in a small reader; the class word always stays."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class VisibleAttention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.to_qkv, self.to_out = nn.Linear(dim, 3 * dim, bias=False), nn.Linear(dim, dim)

    def forward(self, x, visible):
        b, n, c = x.shape
        q, k, v = self.to_qkv(x).view(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        energy = q @ k.transpose(-1, -2) / (c // self.heads) ** 0.5
        weight = (energy - energy.amax(-1, keepdim=True)).exp()
        weight = weight * visible.unsqueeze(1).unsqueeze(-1)
        weight = (weight + 1e-6 / n) / (weight.sum(-1, keepdim=True) + 1e-6)
        return self.to_out((weight @ v).transpose(1, 2).reshape(b, n, c))


class VisibleWords(nn.Module):
    def __init__(self, dim=32, heads=2):
        super().__init__()
        self.first = nn.Parameter(torch.randn(1, 1, dim) * 0.02)
        self.policy = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 2))
        self.norm, self.attend = nn.LayerNorm(dim), VisibleAttention(dim, heads)

    def forward(self, words):
        logits = self.policy(words)
        if self.training:
            stays = F.gumbel_softmax(logits, hard=True)[..., 0]
        else:
            stays = (logits[..., 0] > logits[..., 1]).to(words.dtype)
        visible = torch.cat([torch.ones_like(stays[:, :1]), stays], dim=1)
        x = torch.cat([self.first.expand(len(words), -1, -1), words], dim=1)
        return (x + self.attend(self.norm(x), visible))[:, 0]


def example():
    return VisibleWords(), (torch.randn(3, 12, 32),)
