"""The multi-modal shape: the score is built inside, from normalised attentions and a predicted significance."""

import math

import torch
from torch import nn


def minmax(attention):
    """Each row of B N stretched to [0, 1]."""
    low, high = attention.amin(1, keepdim=True), attention.amax(1, keepdim=True)
    return (attention - low) / (high - low).clamp_min(1e-3)


class TokenSparse(nn.Module):
    """Keeps the share `sparse_ratio` of the tokens."""

    def __init__(self, embed_dim=512, sparse_ratio=0.6, use_gumbel=False, gumbel_tau=1.0):
        super().__init__()
        self.sparse_ratio, self.use_gumbel, self.gumbel_tau = sparse_ratio, use_gumbel, gumbel_tau
        hidden = embed_dim // 4
        self.score_predictor = nn.Sequential(
            nn.Linear(embed_dim, hidden), nn.GELU(), nn.Linear(hidden, 1), nn.Sigmoid()
        )

    def forward(self, tokens, self_attention, cross_attention_m2, cross_attention_m3, beta=0.25):
        """tokens: B N C; attentions: B N."""
        count, channels = tokens.shape[1:]
        predicted = self.score_predictor(tokens).squeeze(-1)
        guidance = minmax(cross_attention_m2) + minmax(cross_attention_m3) + 2 * minmax(self_attention)
        score = (1 - 2 * beta) * predicted + beta * guidance
        keep = max(1, math.ceil(count * self.sparse_ratio))
        keep_indices = torch.topk(score, keep, dim=1).indices
        hard = nn.functional.one_hot(keep_indices, count).sum(1).to(score.dtype)
        logits = score
        if self.use_gumbel and self.training:
            wide = torch.float64 if score.dtype == torch.float64 else torch.float32
            uniform = torch.rand(score.shape, dtype=wide, device=score.device).clamp(1e-30, 1 - 1e-7)
            logits = score - torch.log(-torch.log(uniform)).to(score.dtype)
        soft = (logits / self.gumbel_tau).softmax(dim=1)
        score_mask = hard + (soft - soft.detach())
        selected_mask = score_mask.gather(1, keep_indices)
        select_tokens = tokens.gather(1, keep_indices.unsqueeze(-1).expand(-1, -1, channels))
        left = score.masked_fill(hard > 0, -torch.inf).softmax(dim=1) if keep < count else torch.zeros_like(score)
        extra_token = left.unsqueeze(1) @ tokens
        return select_tokens, extra_token, score_mask, selected_mask, keep_indices


class TokenAggregation(nn.Module):
    """Pools the tokens into `keeped_patches` slots."""

    def __init__(self, dim=512, keeped_patches=64, dim_ratio=0.2):
        super().__init__()
        hidden = int(dim * dim_ratio)
        self.weight = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, keeped_patches)
        )
        self.scale = nn.Parameter(torch.ones(1, 1, 1))

    def forward(self, x, keep_policy=None):
        """x: B K C; keep_policy: B K."""
        weight = self.weight(x).transpose(1, 2) * self.scale
        if keep_policy is not None:
            kept = keep_policy > 0
            log_policy = torch.where(kept, keep_policy, 1.0).log().masked_fill(~kept, -torch.inf)
            weight = weight + log_policy.unsqueeze(1)
        return weight.softmax(dim=2) @ x


class MultiModalSDTPS(nn.Module):
    """Three modalities, each selected among its own tokens."""

    def __init__(
        self,
        embed_dim=512,
        num_patches=128,
        sparse_ratio=0.5,
        aggr_ratio=0.4,
        use_gumbel=False,
        gumbel_tau=1.0,
        beta=0.25,
    ):
        super().__init__()
        slots = int(num_patches * sparse_ratio * aggr_ratio)
        self.beta = beta
        for name in ("rgb", "nir", "tir"):
            setattr(self, f"{name}_sparse", TokenSparse(embed_dim, sparse_ratio, use_gumbel, gumbel_tau))
            setattr(self, f"{name}_aggr", TokenAggregation(embed_dim, slots))

    def attention(self, tokens, feature):
        """Cosine of each token with a global feature: B N."""
        return nn.functional.cosine_similarity(tokens, feature.unsqueeze(1), dim=-1, eps=1e-3)

    def branch(self, sparse, aggr, tokens, own, second, third):
        """One modality: B M+1 C and its D."""
        attentions = [self.attention(tokens, feature) for feature in (own, second, third)]
        selected, extra, mask, selected_mask, _ = sparse(tokens, *attentions, self.beta)
        return torch.cat([aggr(selected, selected_mask), extra], dim=1), mask

    def forward(self, rgb, nir, tir, rgb_global, nir_global, tir_global):
        """Tokens B N C and global features B C of each modality."""
        rgb_out, rgb_mask = self.branch(self.rgb_sparse, self.rgb_aggr, rgb, rgb_global, nir_global, tir_global)
        nir_out, nir_mask = self.branch(self.nir_sparse, self.nir_aggr, nir, nir_global, rgb_global, tir_global)
        tir_out, tir_mask = self.branch(self.tir_sparse, self.tir_aggr, tir, tir_global, rgb_global, nir_global)
        return rgb_out, nir_out, tir_out, rgb_mask, nir_mask, tir_mask
