"""Slots of the kept patches meet the words of a caption, each slot its nearest word."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class SlotsAndWords(nn.Module):
    def __init__(self, patch=28, shared=20, slots=3, keep=6):
        super().__init__()
        self.keep = keep
        self.rate = nn.Linear(patch, 1)
        self.share = nn.Linear(patch, slots)
        self.of_patch = nn.Linear(patch, shared)
        self.of_word = nn.Embedding(50, shared)

    def slots(self, patches):
        rate = self.rate(patches).squeeze(-1)
        index = rate.topk(self.keep, dim=1).indices
        soft = rate.softmax(dim=1)
        picked = torch.zeros_like(soft).scatter(1, index, 1.0) + (soft - soft.detach())
        kept = patches.gather(1, index.unsqueeze(-1).expand(-1, -1, patches.shape[-1]))
        share = self.share(kept).transpose(1, 2) + picked.gather(1, index).log().unsqueeze(1)
        return self.of_patch(share.softmax(dim=-1) @ kept)

    def forward(self, patches, words):
        slots = F.normalize(self.slots(patches))
        words = F.normalize(self.of_word(words), dim=-1)
        return torch.einsum("bmc,blc->bml", slots, words).max(dim=-1).values.mean(dim=1)


def example():
    return SlotsAndWords(), (torch.randn(4, 14, 28), torch.randint(0, 50, (4, 7)))
