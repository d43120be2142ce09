"""Two rounds of picking chapters, each by a judge of its own."""

import torch
import torch.nn as nn


class UnlistedJudges(nn.Module):
    def __init__(self, dim=32, rounds=2, share=0.5):
        super().__init__()
        self.share = share
        self.judges = [nn.Linear(dim, 1) for _ in range(rounds)]
        self.mixers = nn.ModuleList(nn.Linear(dim, dim) for _ in range(rounds))

    def forward(self, chapters):
        for judge, mix in zip(self.judges, self.mixers, strict=True):
            merit = judge(chapters).squeeze(-1)
            hard = torch.zeros_like(merit)
            hard.scatter_(1, merit.topk(max(1, int(self.share * merit.shape[1])), dim=1).indices, 1.0)
            soft = merit.softmax(dim=-1)
            chapters = torch.tanh(mix(chapters)) * (hard + (soft - soft.detach())).unsqueeze(-1)
        return chapters
