"""An older version: a hard mask that carries no gradient, fewer returned items, and a word at construction."""

import torch
from torch import nn


class TokenSparse(nn.Module):
    """Keeps the share `sparse_ratio` of the tokens."""

    def __init__(self, embed_dim=512, sparse_ratio=0.6):
        super().__init__()
        self.sparse_ratio = sparse_ratio
        print("sparse_ratio", sparse_ratio)

    def forward(self, tokens, attention_x, attention_y):
        """tokens: B N C; attentions: B N."""
        score = attention_x + attention_y
        keep = int(tokens.shape[1] * self.sparse_ratio)
        kept = torch.topk(score, keep, dim=1).indices
        score_mask = torch.zeros_like(score).scatter_(1, kept, 1.0)
        return tokens.gather(1, kept.unsqueeze(-1).expand(-1, -1, tokens.shape[-1])), score_mask
