"""Choose patches by a rating that starts without preference; their context is a scripted function."""

import torch
import torch.nn as nn
from torch import Tensor


@torch.jit.script
def contrast(x: Tensor) -> Tensor:
    """Each patch less the mean of its picture."""
    return x - x.mean(dim=1, keepdim=True)


class ContrastSelector(nn.Module):
    def __init__(self, dim: int = 64, keep_ratio: float = 0.5, slots: int = 6, tau: float = 1.0):
        super().__init__()
        self.keep_ratio, self.tau = keep_ratio, tau
        self.hidden = nn.Linear(dim, 32)
        self.rating = nn.Linear(32, 1)
        nn.init.zeros_(self.rating.weight)
        nn.init.zeros_(self.rating.bias)
        self.assign = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, slots))

    def score(self, x: Tensor) -> Tensor:
        rating = self.rating(torch.relu(self.hidden(contrast(x)))).squeeze(-1)
        low, high = rating.amin(1, keepdim=True), rating.amax(1, keepdim=True)
        return (rating - low) / (high - low + 1e-8)

    def forward(self, x: Tensor) -> Tensor:
        score = self.score(x)
        index = score.topk(max(1, int(x.size(1) * self.keep_ratio)), dim=1).indices
        logits = score
        if self.training:
            u = torch.rand_like(score).clamp(min=torch.finfo(score.dtype).tiny)
            logits = score - torch.log(-torch.log(u))
        soft = torch.softmax(logits / self.tau, dim=1)
        decision = torch.zeros_like(soft).scatter(1, index, 1.0) + (soft - soft.detach())
        kept = x.gather(1, index.unsqueeze(-1).expand(-1, -1, x.size(-1)))
        weights = self.assign(kept).transpose(1, 2) + decision.gather(1, index).log().unsqueeze(1)
        return weights.softmax(dim=-1) @ kept
