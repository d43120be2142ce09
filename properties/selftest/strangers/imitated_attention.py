"""Scores that imitate a teacher's attention, beside the selection by them."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class ImitatingSelector(nn.Module):
    def __init__(self, dim=32, keep=5):
        super().__init__()
        self.keep = keep
        self.score = nn.Linear(dim, 1)

    def forward(self, patches, attention):
        score = self.score(patches).squeeze(-1)
        soft = score.softmax(dim=-1)
        hard = torch.zeros_like(soft).scatter(1, score.topk(self.keep, dim=1).indices, 1.0)
        decision = hard + (soft - soft.detach())
        imitation = F.kl_div(soft, attention, reduction="batchmean")
        return patches * decision.unsqueeze(-1), imitation


def example():
    return ImitatingSelector(), (torch.randn(3, 12, 32), torch.randn(3, 12).softmax(dim=-1))
