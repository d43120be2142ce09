"""Keep the best cells of a grid in reading order and blend them; einsum throughout."""

import torch
from torch import einsum, nn


class SpatialOrder(nn.Module):
    def __init__(self, dim=48, num_keep=10, num_out=4, tau=1.0):
        super().__init__()
        self.num_keep, self.tau = num_keep, tau
        self.w_in = nn.Parameter(torch.randn(dim, dim) / dim**0.5)
        self.w_out = nn.Parameter(torch.randn(dim) / dim**0.5)
        self.slots = nn.Parameter(torch.randn(num_out, dim) / dim**0.5)

    def decide(self, score):
        best = score.topk(min(self.num_keep, score.shape[1]), dim=1).indices
        noise = torch.zeros_like(score)
        if self.training:
            noise = -torch.empty_like(score).exponential_().clamp(min=torch.finfo(score.dtype).tiny).log()
        soft = torch.softmax((score + noise) / self.tau, dim=1)
        hard = torch.zeros_like(soft).scatter(1, best, 1.0)
        return best, hard + (soft - soft.detach())

    def forward(self, grid):
        """A grid b h w d; returns b s d."""
        cells = grid.flatten(1, 2)
        score = einsum("b n d, d -> b n", torch.tanh(einsum("b n c, c d -> b n d", cells, self.w_in)), self.w_out)
        best, decision = self.decide(score)
        order = best.sort(dim=1).values
        kept = torch.take_along_dim(cells, order[..., None], dim=1)
        trust = torch.take_along_dim(decision, best, dim=1)
        logits = einsum("s d, b k d -> b s k", self.slots, kept) + trust.log()[:, None]
        return einsum("b s k, b k d -> b s d", logits.softmax(dim=-1), kept)
