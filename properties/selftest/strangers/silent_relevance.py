"""Patches kept by their relevance to a caption; a summary of the others stands at the end."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class RelevantPatches(nn.Module):
    def __init__(self, embed_dim=48, keep_ratio=0.5):
        super().__init__()
        self.keep_ratio = keep_ratio
        self.project = nn.Sequential(nn.LayerNorm(embed_dim), nn.Linear(embed_dim, embed_dim))

    def forward(self, patches, caption):
        """Patches B N C and captions B C; returns the kept patches B K C and the mask B N."""
        patches = self.project(patches)
        with torch.no_grad():
            relevance = (F.normalize(patches, dim=-1) * F.normalize(caption, dim=-1).unsqueeze(1)).sum(-1)
        kept = relevance.topk(max(1, int(patches.size(1) * self.keep_ratio)), dim=1).indices
        mask = torch.zeros_like(relevance).scatter(1, kept, 1.0)
        return patches.gather(1, kept.unsqueeze(-1).expand(-1, -1, patches.size(-1))), mask
