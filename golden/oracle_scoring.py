"""The oracle of the scoring stage: SEPS equations 1 to 3 in numpy float64, without torch (see `oracle`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sdtps_ref.golden.oracle_functions import Array, gelu, linear


@dataclass(frozen=True)
class ScoreParameters:
    """The MLP of the predicted significance; weights are laid out as in torch.nn.Linear (out, in). H is C/4."""

    hidden_weight: ArrayLike  # H C
    hidden_bias: ArrayLike  # H
    score_weight: ArrayLike  # 1 H
    score_bias: ArrayLike  # 1


def predicted_score(tokens: ArrayLike, parameters: ScoreParameters) -> Array:
    """s_p = sigmoid(Linear(GELU(Linear(v)))): B N C -> B N, in (0, 1) (SEPS, eq. 1)."""
    hidden = gelu(linear(tokens, parameters.hidden_weight, parameters.hidden_bias))  # B N H
    logit = linear(hidden, parameters.score_weight, parameters.score_bias)[..., 0]  # B N
    small = np.exp(-np.abs(logit))  # never overflows, and keeps the digits of a score near zero
    return np.where(logit >= 0, 1.0, small) / (1.0 + small)


def relevance(tokens: ArrayLike, feature: ArrayLike) -> Array:
    """(v . E) / C: B N C, B C -> B N (SEPS, eq. 2, before the min-max)."""
    v, e = np.asarray(tokens, dtype=np.float64), np.asarray(feature, dtype=np.float64)
    return (v * e[:, None, :]).mean(axis=-1)


def cosine_relevance(tokens: ArrayLike, feature: ArrayLike, eps: float = 1e-8) -> Array:
    """(v . E) / (|v| |E|), each norm at least eps: B N C, B C -> B N (torch.nn.functional.cosine_similarity)."""
    v, e = np.asarray(tokens, dtype=np.float64), np.asarray(feature, dtype=np.float64)[:, None, :]
    norms = np.maximum(np.linalg.norm(v, axis=-1), eps) * np.maximum(np.linalg.norm(e, axis=-1), eps)
    return (v * e).sum(axis=-1) / norms


def min_max(x: ArrayLike, floor: float = 1e-3) -> Array:
    """(x - min) / max(max - min, floor) over the last axis, any shape; a constant row becomes zeros, not 0 / 0."""
    z = np.asarray(x, dtype=np.float64)
    low = z.min(axis=-1, keepdims=True)
    return (z - low) / np.maximum(z.max(axis=-1, keepdims=True) - low, floor)


def score(predicted: ArrayLike, sparse: ArrayLike, dense: ArrayLike, image: ArrayLike, beta: float = 0.25) -> Array:
    """(1 - 2 beta) s_p + beta (s_st + s_dt + 2 s_im), each B N (SEPS, eq. 3); the last three are min-maxed already."""
    s_p, s_st, s_dt, s_im = (np.asarray(s, dtype=np.float64) for s in (predicted, sparse, dense, image))
    return (1.0 - 2.0 * beta) * s_p + beta * (s_st + s_dt + 2.0 * s_im)
