"""As many tokens as a share of each length comes to, counted in whole numbers; the rate itself has a goal too."""

import torch
import torch.nn as nn


class SharePerLength(nn.Module):
    def __init__(self, features=20, share=0.4):
        super().__init__()
        self.share = share
        self.judge = nn.Linear(features, 1)
        self.read = nn.Linear(features, features)

    def forward(self, tokens, lengths):
        judged = self.judge(tokens).squeeze(-1)
        valid = torch.arange(tokens.shape[1]) < lengths.unsqueeze(1)
        judged = judged.masked_fill(~valid, float("-inf"))
        count = (lengths * self.share).long().clamp(min=1)
        least = torch.tensor(self.share * 4, dtype=torch.long)
        count = torch.maximum(count, least.expand_as(count))
        place = judged.argsort(dim=1, descending=True).argsort(dim=1)
        soft = judged.softmax(dim=1)
        kept = (place < count.unsqueeze(1)).to(soft.dtype)
        kept = kept + (soft - soft.detach())
        goal = torch.full_like(count, self.share, dtype=soft.dtype)
        rate = torch.sigmoid(judged).sum(1) / lengths
        pooled = (self.read(tokens) * kept.unsqueeze(-1)).sum(dim=1) / count.unsqueeze(1)
        return pooled, (rate - goal).pow(2).mean()


def example():
    return SharePerLength(), (torch.randn(4, 12, 20), torch.tensor([12, 9, 10, 8]))
