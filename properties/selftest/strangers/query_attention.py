"""Multi-head attention over the best keys of a long memory, as plain functions on a dictionary of weights."""

import math

import torch
import torch.nn.functional as F


def split_heads(x, heads):
    b, n, c = x.shape
    return x.reshape(b, n, heads, c // heads).permute(0, 2, 1, 3)


def keep_mask(score, k, tau, training):
    """One for the k best keys of every row, differentiable."""
    top = torch.topk(score, k, dim=-1)[1]
    hard = torch.zeros_like(score).scatter_(-1, top, 1.0)
    if training:
        exponential = torch.empty_like(score).exponential_().clamp(min=torch.finfo(score.dtype).tiny)
        score = score - exponential.log()
    soft = F.softmax(score / tau, dim=-1)
    return hard + (soft - soft.detach())


def attend(queries, memory, weights, heads=4, k=8, tau=1.0, training=True):
    """Queries b m c and memory b n c; returns b m c."""
    score = (torch.tanh(memory @ weights["score_in"]) @ weights["score_out"]).squeeze(-1)
    mask = keep_mask(score, k, tau, training)

    q = split_heads(queries @ weights["query"], heads)
    key = split_heads(memory @ weights["key"], heads)
    value = split_heads(memory @ weights["value"], heads)
    logits = q @ key.transpose(2, 3) / math.sqrt(q.shape[-1])  # b h m n
    logits = logits + (mask - 1.0)[:, None, None, :] * 1e4
    read = torch.softmax(logits, dim=-1) @ value
    return read.permute(0, 2, 1, 3).flatten(2)


def example():
    """Two memories of 24 entries, five queries each."""
    torch.manual_seed(0)
    c = 32
    weights = {name: torch.randn(c, c) / math.sqrt(c) for name in ("query", "key", "value", "score_in")}
    weights["score_out"] = torch.randn(c, 1) / math.sqrt(c)
    for weight in weights.values():
        weight.requires_grad_(True)
    queries, memory = torch.randn(2, 5, c), torch.randn(2, 24, c)

    def run():
        return attend(queries, memory, weights)

    return run
