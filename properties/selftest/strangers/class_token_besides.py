"""A class token that always stays, and K patches that are chosen."""

import torch
import torch.nn as nn


class ClassTokenBesides(nn.Module):
    def __init__(self, dim=32, keep=5):
        super().__init__()
        self.keep = keep
        self.first = nn.Parameter(torch.randn(1, 1, dim))
        self.merit = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 1))
        self.block = nn.TransformerEncoderLayer(dim, 4, 2 * dim, dropout=0.0, batch_first=True)

    def forward(self, patches):
        x = torch.cat([self.first.expand(len(patches), -1, -1), patches], dim=1)
        merit = self.merit(x).squeeze(-1)
        ranked = torch.cat([torch.full_like(merit[:, :1], 1e3), merit[:, 1:]], dim=1)
        hard = torch.zeros_like(merit).scatter(1, ranked.topk(self.keep + 1, dim=1).indices, 1.0)
        soft = ranked.softmax(dim=1) if not self.training else torch.nn.functional.gumbel_softmax(merit, dim=1)
        x = x * (hard + (soft - soft.detach())).unsqueeze(-1)
        return self.block(x)[:, 0]
