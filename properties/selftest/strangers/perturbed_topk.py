"""Perturbed top-K: the best tokens going forward, the gradient of a mean over noisy top-K sets going back."""

import torch
import torch.nn as nn


class PerturbedTopK(torch.autograd.Function):
    """How often each entry is among the k best of `score + sigma * noise`; noise B S N, returns B N."""

    @staticmethod
    def forward(ctx, score, noise, k, sigma):
        perturbed = score.unsqueeze(1) + sigma * noise
        sets = torch.zeros_like(perturbed).scatter(-1, perturbed.topk(k, dim=-1).indices, 1.0)
        ctx.save_for_backward(sets, noise)
        ctx.sigma = sigma
        return sets.mean(dim=1)

    @staticmethod
    def backward(ctx, grad):
        sets, noise = ctx.saved_tensors
        along = (sets * grad.unsqueeze(1)).sum(dim=-1, keepdim=True)  # B S 1
        return (along * noise).mean(dim=1) / ctx.sigma, None, None, None


class PerturbedPatchSelect(nn.Module):
    def __init__(self, in_dim=64, out_dim=64, k=8, num_samples=200, sigma=0.5):
        super().__init__()
        self.k, self.num_samples, self.sigma = k, num_samples, sigma
        self.scorer = nn.Sequential(nn.Linear(in_dim, 32), nn.GELU(), nn.Linear(32, 1))
        self.project = nn.Sequential(nn.LayerNorm(in_dim), nn.Linear(in_dim, out_dim))

    def forward(self, patches):
        score = self.scorer(patches).squeeze(-1)
        k = min(self.k, score.shape[1])
        chosen = score.topk(k, dim=1).indices
        mask = torch.zeros_like(score).scatter(1, chosen, 1.0)
        if self.training:
            noise = torch.randn_like(score.unsqueeze(1).expand(-1, self.num_samples, -1))
            often = PerturbedTopK.apply(score, noise, k, self.sigma)
            mask = mask + (often - often.detach())
        projected = self.project(patches) * mask.unsqueeze(-1)
        return projected.gather(1, chosen.unsqueeze(-1).expand(-1, -1, projected.shape[-1])), chosen
