"""Fields of a wide satellite strip; what a field is worth is seen beside its neighbours."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class WideFields(nn.Module):
    def __init__(self, bands=4, dim=32, keep=9):
        super().__init__()
        self.keep = keep
        self.patches = nn.Conv2d(bands, dim, kernel_size=4, stride=4)
        self.summary = nn.Parameter(torch.randn(1, 1, dim) * 0.1)
        self.mix = nn.TransformerEncoderLayer(dim, 4, 64, dropout=0.0, batch_first=True)
        self.around = nn.Conv2d(dim, dim, kernel_size=3, padding=1, groups=dim)
        self.worth = nn.Linear(dim, 1)

    def forward(self, strip):
        grid = self.patches(strip)
        size = grid.shape[:1:-1]
        fields = grid.flatten(2).transpose(1, 2)
        fields = self.mix(torch.cat([self.summary.expand(len(fields), -1, -1), fields], dim=1))[:, 1:]
        beside = self.around(fields.mT.unflatten(2, size)).flatten(2).mT
        worth = self.worth(F.gelu(beside)).squeeze(-1)
        soft = worth.softmax(dim=-1)
        hard = torch.zeros_like(soft).scatter(1, worth.topk(self.keep, dim=1).indices, 1.0)
        decision = hard + (soft - soft.detach())
        return (fields * decision.unsqueeze(-1)).sum(dim=1) / self.keep


def example():
    return WideFields(), (torch.randn(3, 4, 16, 24),)
