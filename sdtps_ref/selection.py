"""Selection: keep K of N tokens, with the decision matrix that makes the choice trainable."""

import math
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from sdtps_ref.decision import hard_mask, keep_indices, soft_mask, straight_through
from sdtps_ref.inputs import check_count, check_ratio, check_rows, check_tau, check_tokens
from sdtps_ref.noise import gumbel_noise

# N * ratio lands within a few units in the last place of the whole number it stands for.
FLOAT_ERROR = 1e-9


class Selection(NamedTuple):
    """What `TokenSparse` returns. B batch, N tokens, K kept, C channels."""

    selected_tokens: Tensor  # B K C  V_s, highest score first
    extra_token: Tensor  # B 1 C  the dropped tokens, pooled
    decision: Tensor  # B N    D
    selected_decision: Tensor  # B K    D at the kept positions: ones forward, soft mask backward
    keep_indices: Tensor  # B K    int64


def kept_count(num_tokens: int, keep_ratio: float) -> int:
    """K = ceil(num_tokens * keep_ratio), from 1 to num_tokens.

    Float error never adds a token: 100 tokens at ratio 0.07 keep 7, though 100 * 0.07 is
    7.000000000000001 in floats. Raises InvalidInput for a ratio outside (0, 1] or fewer than one token.
    """
    check_count("num_tokens", num_tokens)
    check_ratio("keep_ratio", keep_ratio)
    exact = num_tokens * keep_ratio
    nearest = round(exact)
    keep = nearest if math.isclose(exact, nearest, rel_tol=FLOAT_ERROR) else math.ceil(exact)
    return max(1, min(num_tokens, keep))


def gather_tokens(tokens: Tensor, indices: Tensor) -> Tensor:
    """Tokens (B N C) at `indices` (B K), in the order of the indices: B K C."""
    return tokens.gather(1, indices.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))


def extra_token(tokens: Tensor, score: Tensor, hard_mask: Tensor, keep: int) -> Tensor:
    """The dropped tokens, pooled by the softmax of their scores: B 1 C, zeros when nothing is dropped.

    tokens: B N C; score and hard_mask: B N with `keep` ones a row. The dropped tokens are gathered
    rather than weighted by zero, so that an infinite kept token cannot leak into them.
    Source: LAPS (CVPR 2024), the fused redundant token.
    """
    dropped = tokens.shape[1] - keep
    if dropped == 0:
        return tokens.new_zeros(tokens.shape[0], 1, tokens.shape[2])
    dropped_indices = torch.sort(hard_mask, dim=-1, stable=True).indices[:, :dropped]  # B N-K
    weights = torch.softmax(score.gather(-1, dropped_indices), dim=-1).to(tokens.dtype)  # B N-K
    return weights.unsqueeze(1) @ gather_tokens(tokens, dropped_indices)  # B 1 C


class TokenSparse(nn.Module):
    """Keeps ceil(N * keep_ratio) tokens by score. No parameters: the score is an input.

    dim: channels C of the tokens. keep_ratio: K / N in (0, 1] (the papers' sparse_ratio). tau: the
    softmax's temperature, above 0. generator: where the noise is drawn from, None for torch's global
    generator. Noise is drawn in train mode only; in eval mode D still carries the gradient of the
    noiseless softmax. Raises InvalidInput. Source: SEPS (arXiv 2511.01390), LAPS (CVPR 2024).
    """

    def __init__(self, dim: int, keep_ratio: float = 0.5, tau: float = 1.0, *, generator: Generator | None = None):
        super().__init__()
        check_count("dim", dim)
        check_ratio("keep_ratio", keep_ratio)
        check_tau(tau)
        self.dim, self.keep_ratio, self.tau, self.generator = dim, keep_ratio, tau, generator

    def forward(self, tokens: Tensor, score: Tensor) -> Selection:
        """tokens: B N C; score: B N, higher is kept. See `Selection` for what comes back."""
        check_tokens(tokens, self.dim)
        check_rows("score", score, tokens)
        keep = kept_count(tokens.shape[1], self.keep_ratio)

        noise = gumbel_noise(score, self.generator) if self.training else None  # B N
        kept = keep_indices(score, keep)  # B K
        hard = hard_mask(score, kept)  # B N
        decision = straight_through(hard, soft_mask(score, noise, self.tau))  # B N
        return Selection(
            selected_tokens=gather_tokens(tokens, kept),
            extra_token=extra_token(tokens, score, hard, keep),
            decision=decision,
            selected_decision=decision.gather(-1, kept),
            keep_indices=kept,
        )

    def extra_repr(self) -> str:
        return f"dim={self.dim}, keep_ratio={self.keep_ratio}, tau={self.tau}"
