"""The best frames by perturbed ranking, with the estimate of its gradient."""

import torch
import torch.nn as nn


class PerturbedBest(torch.autograd.Function):
    @staticmethod
    def forward(ctx, merit, keep, noise, sigma):
        best = (merit.unsqueeze(0) + sigma * noise).topk(keep, dim=-1).indices
        marked = torch.zeros_like(noise).scatter(-1, best, 1.0)
        ctx.save_for_backward(marked, noise)
        ctx.sigma = sigma
        return marked.mean(0)

    @staticmethod
    def backward(ctx, gradient):
        marked, noise = ctx.saved_tensors
        along = (marked * gradient).sum(-1, keepdim=True)
        estimate = (along * noise).mean((0, 1)) / ctx.sigma
        return estimate.expand_as(gradient), None, None, None


class FrameFilter(nn.Module):
    def __init__(self, dim=32, keep=5, draws=60, sigma=0.1):
        super().__init__()
        self.keep, self.draws, self.sigma = keep, draws, sigma
        self.merit = nn.Linear(dim, 1)

    def forward(self, tokens):
        merit = self.merit(tokens).squeeze(-1)
        if not self.training:
            return tokens * torch.zeros_like(merit).scatter(1, merit.topk(self.keep).indices, 1.0).unsqueeze(-1)
        noise = torch.randn(self.draws, *merit.shape)
        return tokens * PerturbedBest.apply(merit, self.keep, noise, self.sigma).unsqueeze(-1)
