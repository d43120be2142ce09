"""Aggregation: M slots, each a softmax over the kept tokens that the decision matrix masks."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from sdtps_ref.errors import InvalidInput
from sdtps_ref.inputs import check_count, check_ratio, check_rows, check_some_kept, check_tokens
from sdtps_ref.selection import FLOAT_ERROR, kept_count

Mask = Literal["subtract", "log"]


def subtract_mask(aggregation_logits: Tensor, decision: Tensor) -> Tensor:
    """logits - (1 - D) * 1e10, as published. logits: B M K; decision: B K. Returns B M K.

    Its gradient to D is 1e10 times that of `log_mask`, in the same direction; in float16 it is NaN.
    """
    return aggregation_logits - (1 - decision.unsqueeze(1)) * 1e10


def log_mask(aggregation_logits: Tensor, decision: Tensor) -> Tensor:
    """logits + log D. logits: B M K; decision: B K. Returns B M K.

    Where D is 1 the logits are unchanged to the bit; where D is 0 they are -inf, so the weight is
    zero. There the logarithm is not evaluated: its slope is infinite, and times a zero weight it
    would make the gradient NaN.
    """
    kept = decision > 0
    log_decision = torch.where(kept, torch.where(kept, decision, 1.0).log(), float("-inf"))
    return aggregation_logits + log_decision.unsqueeze(1)


MASKS = {"subtract": subtract_mask, "log": log_mask}


def aggregate(aggregation_logits: Tensor, tokens: Tensor, decision: Tensor | None, mask: Mask = "log") -> Tensor:
    """softmax(mask(logits, D)) @ tokens. logits: B M K; tokens: B K C; decision: B K or None. B M C."""
    if decision is not None:
        aggregation_logits = MASKS[mask](aggregation_logits, decision)
    weights = torch.softmax(aggregation_logits, dim=-1).to(tokens.dtype)  # B M K
    return torch.bmm(weights, tokens)  # B M C


def slot_count(num_tokens: int, keep_ratio: float, aggr_ratio: float) -> int:
    """M = int(num_tokens * keep_ratio * aggr_ratio), at least 1: 196 tokens at 0.5 and 0.4 make 39.

    Like `kept_count`, float error never moves it: a product meant as 29 is not cut to 28.
    """
    check_ratio("aggr_ratio", aggr_ratio)
    kept_count(num_tokens, keep_ratio)  # for its checks
    exact = num_tokens * keep_ratio * aggr_ratio
    nearest = round(exact)
    return max(1, nearest if math.isclose(exact, nearest, rel_tol=FLOAT_ERROR) else math.floor(exact))


class TokenAggregation(nn.Module):
    """Pools tokens into `slots` convex combinations of them, masked by the decision matrix.

    dim: channels C. slots: M. dim_ratio: hidden width over C (the papers' 0.2). mask: how D enters
    the softmax. The default, "log", is the one that trains; "subtract" is what was published and is here
    to be compared with: both give the same output, but through "subtract" the score receives 1e10 times
    the gradient, which overflows float16, drowns every other term in a clipped norm and, on a toy task
    (`sdtps bench trainability`), ends at a loss of 0.68 where "log" reaches 0.001 (Adam) or at NaN (SGD).
    Raises InvalidInput. Source: SEPS (arXiv 2511.01390), equation 4; LAPS (CVPR 2024).
    """

    def __init__(self, dim: int, slots: int, dim_ratio: float = 0.2, *, mask: Mask = "log"):
        super().__init__()
        check_count("dim", dim)
        check_count("slots", slots)
        if not 0 < dim_ratio < float("inf"):
            raise InvalidInput.given(f"dim_ratio={dim_ratio}", "a finite number above 0")
        if mask not in MASKS:
            raise InvalidInput.given(f"mask={mask!r}", " or ".join(repr(name) for name in MASKS))
        hidden = max(1, int(dim * dim_ratio))
        self.dim, self.slots, self.mask = dim, slots, mask
        self.logits = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, slots))
        self.scale = nn.Parameter(torch.ones(1))

    def aggregation_logits(self, tokens: Tensor) -> Tensor:
        """The pre-softmax weights of every slot for every token. tokens: B K C. Returns B M K."""
        return self.logits(tokens).transpose(1, 2) * self.scale

    def forward(self, tokens: Tensor, decision: Tensor | None = None) -> Tensor:
        """tokens: B K C; decision: B K, D at these tokens, or None for no mask. Returns B M C.

        `tokens` may be the kept ones (decision all ones forward) or all N, dropped ones masked out.
        A row that drops every token has nothing to pool and raises InvalidInput.
        """
        check_tokens(tokens, self.dim)
        if decision is not None:
            check_rows("decision", decision, tokens)
            check_some_kept(decision)
        return aggregate(self.aggregation_logits(tokens), tokens, decision, self.mask)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, slots={self.slots}, mask={self.mask!r}"
