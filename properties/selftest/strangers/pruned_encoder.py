"""An encoder in the manner of timm, with a class token; half-way it keeps the patches that look most useful."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Attention(nn.Module):
    def __init__(self, dim, num_heads=4, qkv_bias=True):
        super().__init__()
        self.num_heads = num_heads
        self.scale = (dim // num_heads) ** -0.5
        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x):
        B, N, C = x.shape
        qkv = self.qkv(x).reshape(B, N, 3, self.num_heads, C // self.num_heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        attn = (q * self.scale @ k.transpose(-2, -1)).softmax(dim=-1)
        return self.proj((attn @ v).transpose(1, 2).reshape(B, N, C))


class Block(nn.Module):
    def __init__(self, dim, num_heads, mlp_ratio=2.0):
        super().__init__()
        hidden = int(dim * mlp_ratio)
        self.norm1 = nn.LayerNorm(dim)
        self.attn = Attention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchKeeper(nn.Module):
    def __init__(self, dim, keep_rate, tau=1.0):
        super().__init__()
        self.keep_rate, self.tau = keep_rate, tau
        self.rate = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, dim // 2), nn.GELU(), nn.Linear(dim // 2, 1))

    def forward(self, x):
        cls, patches = x[:, :1], x[:, 1:]
        score = self.rate(patches).squeeze(-1).detach()
        keep = torch.topk(score, max(1, int(score.shape[1] * self.keep_rate)), dim=1).indices
        noisy = score
        if self.training:
            noisy = score - torch.empty_like(score).exponential_().clamp(min=torch.finfo(score.dtype).tiny).log()
        soft = F.softmax(noisy / self.tau, dim=1)
        hard = torch.zeros_like(soft).scatter(1, keep, 1.0)
        decision = hard + (soft - soft.detach())
        patches = (patches * decision.unsqueeze(-1)).gather(1, keep.unsqueeze(-1).expand(-1, -1, x.shape[-1]))
        return torch.cat([cls, patches], dim=1)


class PrunedEncoder(nn.Module):
    def __init__(self, embed_dim=64, depth=4, num_heads=4, keep_rate=0.5, num_classes=10):
        super().__init__()
        self.cls_token = nn.Parameter(torch.randn(1, 1, embed_dim) * 0.02)
        self.early = nn.Sequential(*(Block(embed_dim, num_heads) for _ in range(depth // 2)))
        self.keeper = PatchKeeper(embed_dim, keep_rate)
        self.late = nn.Sequential(*(Block(embed_dim, num_heads) for _ in range(depth - depth // 2)))
        self.norm = nn.LayerNorm(embed_dim)
        self.head = nn.Linear(embed_dim, num_classes)

    def forward(self, x):
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1)
        x = self.norm(self.late(self.keeper(self.early(x))))
        return self.head(x[:, 0])
