"""A vision transformer that drops tokens between its blocks; the class token always stays.

While training a two-class policy is sampled for every token and masks the attention; in eval the best are gathered.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F


def softmax_with_policy(attn, policy):
    """Softmax over the keys that the policy keeps; a token can always see itself."""
    B, _, N, _ = attn.shape
    policy = policy.reshape(B, 1, 1, N)
    eye = torch.eye(N, dtype=policy.dtype, device=policy.device).view(1, 1, N, N)
    visible = policy + (1.0 - policy) * eye
    attn = (attn - attn.amax(dim=-1, keepdim=True)).exp() * visible
    return attn / attn.sum(dim=-1, keepdim=True)


class Attention(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, dim * 3)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x, policy=None):
        B, N, C = x.shape
        q, k, v = self.qkv(x).reshape(B, N, 3, self.num_heads, C // self.num_heads).permute(2, 0, 3, 1, 4)
        attn = (q @ k.transpose(-2, -1)) * (C // self.num_heads) ** -0.5
        attn = attn.softmax(dim=-1) if policy is None else softmax_with_policy(attn, policy)
        return self.proj((attn @ v).transpose(1, 2).reshape(B, N, C))


class Block(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(dim), Attention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, dim * 2), nn.GELU(), nn.Linear(dim * 2, dim))

    def forward(self, x, policy=None):
        x = x + self.attn(self.norm1(x), policy)
        return x + self.mlp(self.norm2(x))


class PolicyViT(nn.Module):
    def __init__(self, embed_dim=64, num_heads=4, depth=3, prune_at=1, keep_rate=0.6, num_classes=10):
        super().__init__()
        self.prune_at, self.keep_rate = prune_at, keep_rate
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dim))
        self.blocks = nn.ModuleList(Block(embed_dim, num_heads) for _ in range(depth))
        self.predictor = nn.Sequential(nn.LayerNorm(embed_dim), nn.Linear(embed_dim, 16), nn.GELU(), nn.Linear(16, 2))
        self.norm, self.head = nn.LayerNorm(embed_dim), nn.Linear(embed_dim, num_classes)

    def prune(self, x):
        log_prob = F.log_softmax(self.predictor(x[:, 1:]), dim=-1)  # B N 2, keep and drop
        if self.training:
            sample = F.gumbel_softmax(log_prob, tau=1.0, hard=True, dim=-1)[..., 0]
            return x, torch.cat([torch.ones_like(sample[:, :1]), sample], dim=1)
        count = max(1, int(self.keep_rate * log_prob.shape[1]))
        best = log_prob[..., 0].argsort(dim=1, descending=True)[:, :count]
        kept = x[:, 1:].gather(1, best.unsqueeze(-1).expand(-1, -1, x.shape[-1]))
        return torch.cat([x[:, :1], kept], dim=1), None

    def forward(self, x):
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1)
        policy = None
        for i, block in enumerate(self.blocks):
            if i == self.prune_at:
                x, policy = self.prune(x)
            x = block(x, policy)
        return self.head(self.norm(x)[:, 0])
