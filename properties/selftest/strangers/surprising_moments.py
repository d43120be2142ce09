"""The moments of a sequence that surprise most go through one more block; the others go past it."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Block(nn.Module):
    def __init__(self, dim, heads=2):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dim)
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x):
        batch, length, dim = x.shape
        q, k, v = self.qkv(self.norm(x)).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        read = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(read.transpose(1, 2).reshape(batch, length, dim))


class SurprisingMoments(nn.Module):
    def __init__(self, dim=32, capacity=6):
        super().__init__()
        self.capacity = capacity
        self.surprise = nn.Linear(dim, 1)
        self.block = Block(dim)

    def forward(self, moments):
        surprise = self.surprise(moments).squeeze(-1)
        weight, index = surprise.topk(self.capacity, dim=1)
        spread = index.unsqueeze(-1).expand(-1, -1, moments.shape[-1])
        changed = self.block(moments.gather(1, spread)) * weight.sigmoid().unsqueeze(-1)
        return moments.scatter_add(1, spread, changed)


def example():
    return SurprisingMoments(), (torch.randn(3, 16, 32),)
