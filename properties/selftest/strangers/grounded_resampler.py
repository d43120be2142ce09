"""A resampler for region features: the regions nearest to a query go into a fixed number of slots."""

import torch
from torch import nn
from torch.nn import functional as F


class GroundedResampler(nn.Module):
    """Keyword arguments only, a dictionary out."""

    def __init__(self, *, width: int = 64, slots: int = 6, keep: int = 12, tau: float = 0.8):
        super().__init__()
        self.keep, self.tau = keep, tau
        self.prior = nn.Linear(width, 1)
        self.assign = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, slots))

    def straight_through(self, score, index):
        """One at `index` going forward, the gradient of a noisy softmax going back."""
        noise = torch.zeros_like(score)
        if self.training:
            u = torch.rand_like(score).clamp(min=torch.finfo(score.dtype).tiny)
            noise = -(-u.log()).log()
        soft = ((score + noise) / self.tau).softmax(dim=-1)
        hard = torch.zeros_like(soft).scatter_(-1, index, 1.0)
        return (hard - soft.detach()) + soft

    def forward(self, *, features: torch.Tensor, query: torch.Tensor) -> dict:
        similarity = F.cosine_similarity(features, query[:, None, :], dim=-1)
        score = similarity + torch.tanh(self.prior(features)[..., 0])  # B N
        keep = min(self.keep, features.shape[1])
        index = score.topk(keep, dim=-1).indices
        decision = self.straight_through(score, index)

        regions = torch.take_along_dim(features, index[..., None], dim=1)  # B K C
        gate = torch.take_along_dim(decision, index, dim=1)
        logits = self.assign(regions).mT + gate.log()[:, None, :]  # B M K
        return {"slots": logits.softmax(dim=-1) @ regions, "index": index, "score": score.detach()}
