"""The papers' score, equations 1 to 3: predicted significance plus relevance to text or to other modalities."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sdtps_ref.inputs import check_count, check_tokens

# Below this spread a row of relevances says nothing, and its gradient stops growing: at most
# 1 / SPREAD_FLOOR. An epsilon of 1e-8 would let it reach 1e8, and 1e18 behind the subtract mask.
SPREAD_FLOOR = 1e-3


class ScorePredictor(nn.Module):
    """Equation 1: s_p = sigmoid(Linear(C/4, 1)(GELU(Linear(C, C/4)(v)))). tokens: B N C. Returns B N."""

    def __init__(self, dim: int):
        super().__init__()
        check_count("dim", dim)
        hidden = max(1, dim // 4)
        self.dim = dim
        self.layers = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, 1), nn.Sigmoid())

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens: B N C. Returns the predicted significance of each, in (0, 1): B N."""
        check_tokens(tokens, self.dim)
        return self.layers(tokens).squeeze(-1)


def min_max(rows: Tensor) -> Tensor:
    """(x - min) / (max - min) over the tokens, B N, in [0, 1].

    The spread counts as SPREAD_FLOOR at least: a constant row becomes zeros, and its gradient stays
    bounded in every dtype.
    """
    low, high = rows.amin(-1, keepdim=True), rows.amax(-1, keepdim=True)
    return (rows - low) / (high - low).clamp_min(SPREAD_FLOOR)


def dot_relevance(tokens: Tensor, feature: Tensor) -> Tensor:
    """Equation 2: minmax over N of (v . E) / C. tokens: B N C; feature: B C. Returns B N."""
    return min_max((tokens @ feature.unsqueeze(-1)).squeeze(-1) / tokens.shape[-1])


def cosine_relevance(tokens: Tensor, feature: Tensor) -> Tensor:
    """minmax over N of cos(v, E), as the multi-modal form has it. tokens: B N C; feature: B C. Returns B N.

    Norms count as SPREAD_FLOOR at least, so that a zero (padding) token has a bounded gradient: at most
    1 / SPREAD_FLOOR**2 where all are zero, which float16 cannot hold.
    """
    similarity = torch.cosine_similarity(tokens, feature.unsqueeze(1), dim=-1, eps=SPREAD_FLOOR)
    return min_max(similarity.to(tokens.dtype))


def combine_scores(predicted: Tensor, own: Tensor, others: Sequence[Tensor], beta: float = 0.25) -> Tensor:
    """Equation 3: (1 - 2 beta) s_p + beta (the sum of s_x over `others` + 2 s_own). All B N.

    `own` is the relevance to the image (or to a modality's own global feature); `others` are sparse
    and dense text (or the other modalities).
    """
    guidance = 2 * own
    for relevance in others:
        guidance = guidance + relevance
    return (1 - 2 * beta) * predicted + beta * guidance
