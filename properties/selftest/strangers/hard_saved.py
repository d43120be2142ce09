"""Tiles of a slide, chosen by one function with a backward pass of its own."""

import torch
import torch.nn as nn


class Choose(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits, count):
        chosen = torch.zeros_like(logits)
        chosen.scatter_(1, logits.topk(count, dim=1).indices, 1.0)
        ctx.save_for_backward(chosen)
        return chosen

    @staticmethod
    def backward(ctx, slope):
        (weight,) = ctx.saved_tensors
        mean = (weight * slope).sum(dim=1, keepdim=True)
        return weight * (slope - mean), None


class SlideReader(nn.Module):
    def __init__(self, dim=32, tiles=5):
        super().__init__()
        self.tiles = tiles
        self.judge = nn.Linear(dim, 1)
        self.head = nn.Linear(dim, dim)

    def forward(self, slide):
        merit = self.judge(slide).squeeze(-1)
        chosen = Choose.apply(merit, self.tiles)
        return self.head((slide * chosen.unsqueeze(-1)).sum(dim=1) / self.tiles)
