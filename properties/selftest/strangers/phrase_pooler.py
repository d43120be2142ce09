"""Regions of a picture, chosen for a phrase and for a paragraph, each set pooled to a few vectors."""

import torch
import torch.nn as nn
import torch.nn.functional as F


def rescale(x, floor=0.05):
    x = x - x.min(dim=1, keepdim=True)[0]
    return x / x.max(dim=1, keepdim=True)[0].clamp(min=floor)


class RegionSparse(nn.Module):
    def __init__(self, embed_dim=64, sparse_ratio=0.5, beta=0.25, tau=1.0):
        super().__init__()
        self.sparse_ratio = sparse_ratio
        self.beta = beta
        self.tau = tau
        self.predictor = nn.Sequential(
            nn.Linear(embed_dim, embed_dim // 4), nn.GELU(), nn.Linear(embed_dim // 4, 1), nn.Sigmoid()
        )

    def forward(self, regions, attn_text, attn_self):
        B, N, C = regions.size()
        s_pred = self.predictor(regions).squeeze(-1)
        score = (1 - 2 * self.beta) * s_pred + self.beta * (attn_text + attn_self)
        num_keep = max(1, int(N * self.sparse_ratio))

        logits = score
        if self.training:
            u = torch.rand_like(score).clamp(min=torch.finfo(score.dtype).tiny)
            logits = score - torch.log(-torch.log(u))
        soft = F.softmax(logits / self.tau, dim=-1)
        keep_idx = score.topk(num_keep, dim=1)[1]
        hard = torch.zeros_like(score).scatter(1, keep_idx, 1.0)
        keep_policy = hard + (soft - soft.detach())

        kept = regions.gather(1, keep_idx.unsqueeze(-1).expand(-1, -1, C))
        return kept, keep_policy.gather(1, keep_idx)


class RegionAggr(nn.Module):
    def __init__(self, embed_dim, num_out):
        super().__init__()
        hidden = int(embed_dim * 0.2)
        self.net = nn.Sequential(
            nn.LayerNorm(embed_dim), nn.Linear(embed_dim, hidden), nn.GELU(), nn.Linear(hidden, num_out)
        )
        self.scale = nn.Parameter(torch.ones(1, 1, 1))

    def forward(self, x, keep_policy):
        weight = self.net(x).transpose(2, 1) * self.scale
        weight = weight - (1 - keep_policy.unsqueeze(1)) * 1e10
        return torch.bmm(F.softmax(weight, dim=-1), x)


class PhrasePooler(nn.Module):
    def __init__(self, embed_dim=64, num_regions=36, sparse_ratio=0.5, aggr_ratio=0.4):
        super().__init__()
        self.sparse = RegionSparse(embed_dim, sparse_ratio)
        num_out = max(1, int(num_regions * sparse_ratio * aggr_ratio))
        self.aggr_phrase = RegionAggr(embed_dim, num_out)
        self.aggr_paragraph = RegionAggr(embed_dim, num_out)

    def relevance(self, regions, embedding):
        return rescale((regions * embedding.unsqueeze(1)).sum(-1) / regions.size(-1))

    def forward(self, img, phrase, paragraph):
        """Regions B N C; words of the phrase B L C; words of the paragraph B T C."""
        own = self.relevance(img, img.mean(1))
        a, policy_a = self.sparse(img, self.relevance(img, phrase.mean(1)), own)
        b, policy_b = self.sparse(img, self.relevance(img, paragraph.mean(1)), own)
        return self.aggr_phrase(a, policy_a) + self.aggr_paragraph(b, policy_b)
