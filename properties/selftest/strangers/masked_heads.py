"""Learned queries read a memory through several heads, but only the memory slots that were chosen."""

import torch
from torch import nn


class ChosenMemoryAttention(nn.Module):
    def __init__(self, embed_dim=64, num_heads=4, num_queries=8, top_k=10, dropout=0.1, tau=1.0):
        super().__init__()
        self.num_heads, self.top_k, self.tau = num_heads, top_k, tau
        self.head_dim = embed_dim // num_heads
        self.queries = nn.Parameter(torch.randn(num_queries, embed_dim) * 0.5)
        self.to_kv = nn.Linear(embed_dim, 2 * embed_dim, bias=False)
        self.to_out = nn.Linear(embed_dim, embed_dim)
        self.usefulness = nn.Sequential(nn.LayerNorm(embed_dim), nn.Linear(embed_dim, 1))
        self.drop = nn.Dropout(dropout)

    def choose(self, memory):
        score = self.usefulness(memory).squeeze(-1)
        best = score.topk(min(self.top_k, score.shape[-1]), dim=-1).indices
        if self.training:
            noise = torch.rand_like(score).clamp_min(torch.finfo(score.dtype).tiny)
            soft = torch.softmax((score - (-noise.log()).log()) / self.tau, dim=-1)
        else:
            soft = torch.softmax(score / self.tau, dim=-1)
        return torch.zeros_like(soft).scatter_(-1, best, 1.0) + (soft - soft.detach())

    def forward(self, memory):
        batch, length, width = memory.shape
        chosen = self.choose(memory)[:, None, None, :]  # B 1 1 N
        key, value = self.to_kv(memory).chunk(2, dim=-1)
        key = key.view(batch, length, self.num_heads, self.head_dim).transpose(1, 2)
        value = value.view(batch, length, self.num_heads, self.head_dim).transpose(1, 2)
        query = self.queries.view(-1, self.num_heads, self.head_dim).transpose(0, 1)  # H M D

        logits = query @ key.transpose(-2, -1) / self.head_dim**0.5  # B H M N
        # The clamp keeps the logarithm of a dropped slot finite; masked_fill takes it out.
        logits = logits + chosen.clamp(min=0.5).log()
        logits = logits.masked_fill(chosen < 0.5, float("-inf"))
        read = self.drop(logits.softmax(dim=-1)) @ value
        return self.to_out(read.transpose(1, 2).reshape(batch, -1, width))
