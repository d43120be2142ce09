"""A selector that learns the width of its tokens at the first call."""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Selected(NamedTuple):
    pooled: Tensor
    indices: Tensor
    scores: Tensor


class LazySelector(nn.Module):
    keep_rate: float = 0.4
    num_slots: int = 4
    temperature: float = 0.7

    def __init__(self):
        super().__init__()
        self.score = nn.Sequential(nn.LazyLinear(24), nn.GELU(), nn.LazyLinear(1))
        self.share = nn.LazyLinear(self.num_slots)

    def extra_repr(self):
        return f"keep_rate={self.keep_rate}, num_slots={self.num_slots}, temperature={self.temperature}"

    def forward(self, tokens: Tensor) -> Selected:
        scores = self.score(tokens).squeeze(-1)
        k = max(int(scores.size(1) * self.keep_rate), 1)
        _, indices = scores.sort(dim=1, descending=True)
        indices = indices[:, :k]

        relaxed = scores / self.temperature
        if self.training:
            gumbel = -torch.empty_like(scores).exponential_().clamp(min=torch.finfo(scores.dtype).tiny).log()
            relaxed = (scores + gumbel) / self.temperature
        soft = relaxed.softmax(dim=1)
        hard = torch.zeros_like(soft).scatter(1, indices, 1.0)
        decision = (hard + (soft - soft.detach())).gather(1, indices)

        kept = torch.take_along_dim(tokens, indices.unsqueeze(-1), dim=1)
        logits = self.share(kept).transpose(1, 2)
        pooled = (logits + decision.log().unsqueeze(1)).softmax(dim=2) @ kept
        return Selected(pooled, indices, scores.detach())
