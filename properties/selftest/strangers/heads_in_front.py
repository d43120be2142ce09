"""Several heads read the chosen regions of a picture; they lie along the first axis, and the pictures after them."""

import torch
import torch.nn as nn


class HeadsInFront(nn.Module):
    def __init__(self, dim=24, heads=3, regions=5):
        super().__init__()
        self.regions = regions
        self.query = nn.Parameter(torch.randn(heads, dim) * dim**-0.5)
        self.saliency = nn.Linear(dim, 1)
        self.mix = nn.Linear(heads * dim, dim)

    def forward(self, picture):
        saliency = self.saliency(picture).squeeze(-1)
        soft = saliency.softmax(dim=-1)
        index = saliency.topk(self.regions, dim=-1).indices
        decision = torch.zeros_like(soft).scatter(1, index, 1.0) + (soft - soft.detach())
        chosen = picture.gather(1, index.unsqueeze(-1).expand(-1, -1, picture.shape[-1]))
        logits = torch.einsum("hc,bkc->hbk", self.query, chosen) + decision.gather(1, index).log()
        read = torch.einsum("hbk,bkc->bhc", logits.softmax(dim=-1), chosen)
        return self.mix(read.flatten(1))


def example():
    return HeadsInFront(), (torch.randn(3, 14, 24),)
