"""Image patches chosen by a short and by a long caption, each pooled to a few slots, the two results added."""

import torch
import torch.nn as nn
import torch.nn.functional as F


def stretch(x):
    """Bring every row to between 0 and 1; rows flatter than 0.05 are left flat."""
    low = x.amin(dim=-1, keepdim=True)
    high = x.amax(dim=-1, keepdim=True)
    return (x - low) / (high - low).clamp(min=0.05)


class SlotPooling(nn.Module):
    def __init__(self, dim, num_slots, ratio=0.2):
        super().__init__()
        hidden = int(dim * ratio)
        self.mlp = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, num_slots))
        self.scale = nn.Parameter(torch.ones(1, 1, 1))

    def forward(self, x, keep_policy=None):
        weight = self.mlp(x).transpose(1, 2) * self.scale  # B M K
        if keep_policy is not None:
            weight = weight + torch.log(keep_policy).unsqueeze(1)
        return torch.bmm(F.softmax(weight, dim=2), x)


class CaptionSelect(nn.Module):
    def __init__(self, dim, sparse_ratio=0.5, gumbel_tau=1.0):
        super().__init__()
        self.sparse_ratio = sparse_ratio
        self.gumbel_tau = gumbel_tau
        self.significance = nn.Sequential(nn.Linear(dim, dim // 4), nn.GELU(), nn.Linear(dim // 4, 1), nn.Sigmoid())

    def forward(self, tokens, caption, beta=0.25):
        B, N, C = tokens.shape
        with torch.no_grad():
            relevant = stretch((tokens * caption.unsqueeze(1)).sum(-1) / C)
            central = stretch((tokens * tokens.mean(dim=1, keepdim=True)).sum(-1) / C)
        score = (1 - 2 * beta) * self.significance(tokens).squeeze(-1) + 2 * beta * (relevant + central)
        num_keep = max(1, int(N * self.sparse_ratio))

        gumbel = -torch.log(-torch.log(torch.rand_like(score)))
        soft_mask = F.softmax((score + gumbel) / self.gumbel_tau, dim=1)
        keep = torch.topk(score, num_keep, dim=1).indices
        hard_mask = torch.zeros_like(score).scatter(1, keep, 1.0)
        decision = hard_mask + (soft_mask - soft_mask.detach())

        selected = torch.gather(tokens, 1, keep.unsqueeze(-1).expand(-1, -1, C))
        return selected, torch.gather(decision, 1, keep)


class CaptionPooler(nn.Module):
    def __init__(self, embed_dim=64, num_patches=49, sparse_ratio=0.5, aggr_ratio=0.4):
        super().__init__()
        slots = max(1, int(num_patches * sparse_ratio * aggr_ratio))
        self.select = CaptionSelect(embed_dim, sparse_ratio)
        self.pool_short = SlotPooling(embed_dim, slots)
        self.pool_long = SlotPooling(embed_dim, slots)

    def forward(self, img_emb, short_emb, long_emb):
        """Patches B N C, the words of the short caption B L C, those of the long one B T C."""
        short, short_policy = self.select(img_emb, short_emb.mean(dim=1))
        long, long_policy = self.select(img_emb, long_emb.mean(dim=1))
        return self.pool_short(short, short_policy) + self.pool_long(long, long_policy)
