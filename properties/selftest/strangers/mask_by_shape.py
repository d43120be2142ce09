"""Words of padded captions; the mask of the padding is made once for each shape."""

import torch
import torch.nn as nn


class PaddedWords(nn.Module):
    def __init__(self, dim=32, keep=2):
        super().__init__()
        self.keep, self.masks = keep, {}
        self.weigh = nn.Linear(dim, 1)

    def valid(self, words, lengths):
        if words.shape[:2] not in self.masks:
            self.masks[words.shape[:2]] = torch.arange(words.shape[1]) < lengths.unsqueeze(1)
        return self.masks[words.shape[:2]]

    def forward(self, words, lengths):
        weight = self.weigh(words).squeeze(-1).masked_fill(~self.valid(words, lengths), -1e4)
        soft = weight.softmax(dim=-1)
        hard = torch.zeros_like(soft).scatter(1, weight.topk(self.keep, dim=1).indices, 1.0)
        decision = hard + (soft - soft.detach())
        return (words * decision.unsqueeze(-1)).sum(dim=1) / self.keep


def example():
    return PaddedWords(), (torch.randn(4, 9, 32), torch.tensor([9, 3, 6, 4]))
