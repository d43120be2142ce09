"""Filter the patches of a picture before an expensive encoder sees them."""

import torch
from torch import nn


class PatchFilter(nn.Module):
    def __init__(self, img_size=32, patch_size=8, in_chans=3, embed_dim=64, keep_ratio=0.5, tau=1.0, num_classes=10):
        super().__init__()
        self.num_patches = (img_size // patch_size) ** 2
        self.num_keep = max(1, int(self.num_patches * keep_ratio))
        self.tau = tau
        self.embed = nn.Conv2d(in_chans, embed_dim, kernel_size=patch_size, stride=patch_size)
        self.pos = nn.Parameter(torch.randn(1, self.num_patches, embed_dim) * 0.02)
        self.critic = nn.Sequential(nn.LayerNorm(embed_dim), nn.Linear(embed_dim, 1))
        self.mixer = nn.Sequential(nn.Linear(embed_dim, embed_dim * 2), nn.GELU(), nn.Linear(embed_dim * 2, embed_dim))
        self.fc = nn.Linear(embed_dim, num_classes)

    def gumbel(self, like):
        u = torch.rand_like(like).clamp(min=torch.finfo(like.dtype).tiny)
        return -torch.log(-torch.log(u))

    def decide(self, score):
        """A straight-through mask with `num_keep` ones in a row."""
        index = score.topk(self.num_keep, dim=1).indices
        hard = torch.zeros_like(score).scatter_(1, index, 1.0)
        if self.training:
            score = score + self.gumbel(score)
        soft = torch.softmax(score / self.tau, dim=1)
        return hard + (soft - soft.detach())

    def forward(self, images):
        x = self.embed(images).flatten(2).transpose(1, 2) + self.pos
        mask = self.decide(self.critic(x).squeeze(-1))
        keep = mask > 0.5
        x = x[keep].view(x.size(0), self.num_keep, x.size(2))
        return self.fc((x + self.mixer(x)).mean(dim=1))
