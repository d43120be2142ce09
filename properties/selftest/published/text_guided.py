"""The text-guided shape (LAPS, SEPS): the score is the sum of two attentions, given from outside."""

import math

import torch
from torch import nn


class TokenSparse(nn.Module):
    """Keeps the share `sparse_ratio` of the tokens."""

    def __init__(self, embed_dim=512, sparse_ratio=0.6):
        super().__init__()
        self.embed_dim, self.sparse_ratio = embed_dim, sparse_ratio

    def forward(self, tokens, attention_x, attention_y):
        """tokens: B N C; attentions: B N."""
        count, channels = tokens.shape[1:]
        score = attention_x + attention_y
        keep = math.ceil(count * self.sparse_ratio)
        ranked, order = score.sort(dim=1, descending=True)
        kept, dropped = order[:, :keep], order[:, keep:]
        select_tokens = tokens.gather(1, kept.unsqueeze(-1).expand(-1, -1, channels))
        logits = score
        if self.training:
            wide = torch.float64 if score.dtype == torch.float64 else torch.float32
            uniform = torch.rand(score.shape, dtype=wide, device=score.device).clamp(1e-30, 1 - 1e-7)
            logits = score - torch.log(-torch.log(uniform)).to(score.dtype)
        soft = logits.softmax(dim=1)
        hard = nn.functional.one_hot(kept, count).sum(1).to(score.dtype)
        score_mask = hard + (soft - soft.detach())
        rest = tokens.gather(1, dropped.unsqueeze(-1).expand(-1, -1, channels))
        extra_token = (ranked[:, keep:].softmax(dim=1).unsqueeze(-1) * rest).sum(dim=1, keepdim=True)
        return select_tokens, extra_token, score_mask


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
