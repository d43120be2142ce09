"""Patches chosen by their likeness to a reference picture; the likeness is a scripted function."""

import torch
import torch.nn as nn
from torch import Tensor


@torch.jit.script
def likeness(patches: Tensor, reference: Tensor, eps: float = 1e-4) -> Tensor:
    """The greatest cosine of each patch with any patch of the reference: B N."""
    a = patches / (patches.norm(p=2, dim=-1, keepdim=True) + eps)
    b = reference / (reference.norm(p=2, dim=-1, keepdim=True) + eps)
    return torch.bmm(a, b.transpose(1, 2)).max(dim=2)[0]


class ReferenceSelector(nn.Module):
    def __init__(self, embed_dim: int = 64, keep_ratio: float = 0.5, n_slots: int = 5, tau: float = 1.0):
        super().__init__()
        self.keep_ratio = keep_ratio
        self.tau = tau
        self.adapt = nn.Linear(embed_dim, embed_dim)
        self.sharpness = nn.Parameter(torch.tensor(2.0))
        self.slots = nn.Sequential(nn.LayerNorm(embed_dim), nn.Linear(embed_dim, n_slots))

    def forward(self, target: Tensor, reference: Tensor) -> Tensor:
        score = self.sharpness * likeness(self.adapt(target), self.adapt(reference))
        n = score.shape[1]
        index = score.topk(max(1, int(n * self.keep_ratio)), dim=1).indices

        logits = score / self.tau
        if self.training:
            noise = -torch.log(-torch.log(torch.rand_like(score).clamp(min=torch.finfo(score.dtype).tiny)))
            logits = (score + noise) / self.tau
        soft = torch.softmax(logits, dim=1)
        hard = torch.zeros_like(soft).scatter(1, index, torch.ones_like(soft))
        decision = hard + (soft - soft.detach())

        kept = target.gather(1, index[:, :, None].expand(-1, -1, target.shape[2]))
        pooling = self.slots(kept).transpose(1, 2) + decision.gather(1, index).log()[:, None]
        return torch.bmm(pooling.softmax(dim=2), kept)
