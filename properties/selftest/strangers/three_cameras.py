"""The published form, as it is typed in from the papers: three cameras, each selected among its own tokens."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F


def stretched(attention):
    low = attention.min(dim=-1, keepdim=True)[0]
    high = attention.max(dim=-1, keepdim=True)[0]
    return (attention - low) / (high - low + 1e-8)


class TokenSparse(nn.Module):
    def __init__(self, embed_dim=512, sparse_ratio=0.6, use_gumbel=False, gumbel_tau=1.0):
        super().__init__()
        self.sparse_ratio, self.use_gumbel, self.gumbel_tau = sparse_ratio, use_gumbel, gumbel_tau
        self.score_predictor = nn.Sequential(
            nn.Linear(embed_dim, embed_dim // 4), nn.GELU(), nn.Linear(embed_dim // 4, 1), nn.Sigmoid()
        )
        print(f"TokenSparse: keeps {sparse_ratio:.0%}, gumbel={use_gumbel}")

    def forward(self, tokens, self_attention, cross_attention_m2, cross_attention_m3, beta=0.25):
        _, N, C = tokens.size()
        guidance = stretched(cross_attention_m2) + stretched(cross_attention_m3) + 2 * stretched(self_attention)
        score = (1 - 2 * beta) * self.score_predictor(tokens).squeeze(-1) + beta * guidance
        num_keep = max(1, math.ceil(N * self.sparse_ratio))
        score_sort, score_index = torch.sort(score, dim=1, descending=True)
        keep_policy, non_keep = score_index[:, :num_keep], score_index[:, num_keep:]
        hard_mask = torch.zeros_like(score).scatter(1, keep_policy, 1.0)
        if self.use_gumbel and self.training:
            gumbel = -torch.log(-torch.log(torch.rand_like(score) + 1e-9) + 1e-9)
            soft_mask = F.softmax((score + gumbel) / self.gumbel_tau, dim=-1)
            score_mask = hard_mask + (soft_mask - soft_mask.detach())
        else:
            score_mask = hard_mask
        select_tokens = torch.gather(tokens, 1, keep_policy.unsqueeze(-1).expand(-1, -1, C))
        non_tokens = torch.gather(tokens, 1, non_keep.unsqueeze(-1).expand(-1, -1, C))
        extra_token = (F.softmax(score_sort[:, num_keep:], dim=1).unsqueeze(-1) * non_tokens).sum(dim=1, keepdim=True)
        return select_tokens, extra_token, score_mask, torch.gather(score_mask, 1, keep_policy)


class TokenAggregation(nn.Module):
    def __init__(self, dim=512, keeped_patches=64, dim_ratio=0.2):
        super().__init__()
        hidden = int(dim * dim_ratio)
        self.weight = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, keeped_patches)
        )
        self.scale = nn.Parameter(torch.ones(1, 1, 1))

    def forward(self, x, keep_policy=None):
        weight = self.weight(x).transpose(2, 1) * self.scale
        if keep_policy is not None:
            weight = weight - (1 - keep_policy.unsqueeze(1)) * 1e10
        return torch.bmm(F.softmax(weight, dim=2), x)


class ThreeCameras(nn.Module):
    def __init__(
        self, embed_dim=512, num_patches=128, sparse_ratio=0.5, aggr_ratio=0.4, use_gumbel=False, gumbel_tau=1.0
    ):
        super().__init__()
        slots = max(1, int(num_patches * sparse_ratio * aggr_ratio))
        for camera in ("RGB", "NI", "TI"):
            setattr(self, f"{camera}_sparse", TokenSparse(embed_dim, sparse_ratio, use_gumbel, gumbel_tau))
            setattr(self, f"{camera}_aggr", TokenAggregation(embed_dim, slots))

    def one(self, camera, tokens, own, second, third):
        with torch.no_grad():
            attentions = [F.cosine_similarity(tokens, each.unsqueeze(1), dim=-1) for each in (own, second, third)]
        select_tokens, extra_token, _, selected_mask = getattr(self, f"{camera}_sparse")(tokens, *attentions)
        return torch.cat([getattr(self, f"{camera}_aggr")(select_tokens, selected_mask), extra_token], dim=1)

    def forward(self, RGB_cash, NI_cash, TI_cash, RGB_global, NI_global, TI_global):
        return (
            self.one("RGB", RGB_cash, RGB_global, NI_global, TI_global),
            self.one("NI", NI_cash, NI_global, RGB_global, TI_global),
            self.one("TI", TI_cash, TI_global, RGB_global, NI_global),
        )
