"""SDTPS at any number of digits: DESIGN's formulas one number at a time in mpmath, gradients by a tape.

It shares no line with the numpy oracle: rows are Python lists, and a gradient comes from reverse-mode
differentiation of the forward formulas, with the straight-through bracket and the log mask as they are
written, where the oracle has closed forms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mpmath import mp, mpf

from sdtps_ref.golden.autodiff import Number, exp, gelu, log, plain, sqrt, total

Row = list[Number]
Matrix = list[Row]


def softmax(row: Row) -> Row:
    """softmax of one row; a -inf weighs nothing."""
    top = max(plain(x) for x in row)
    parts = [exp(x - top) for x in row]
    whole = total(parts)
    return [part / whole for part in parts]


def gumbel_noise(uniform: mpf) -> mpf:
    """-log(-log u), with its limits at 0 and 1."""
    if uniform in (0, 1):
        return mpf("-inf") if uniform == 0 else mpf("inf")
    return -log(-log(uniform))


def soft_mask(score: Row, noise: Row | None, tau: mpf) -> Row:
    """softmax((score + noise) / tau)."""
    noisy = score if noise is None else [s + g for s, g in zip(score, noise, strict=True)]
    return softmax([x / tau for x in noisy])


def keep_indices(score: Row, keep: int) -> list[int]:
    """The highest scores first, the lower position first among equals."""
    return sorted(range(len(score)), key=lambda n: (-plain(score[n]), n))[:keep]


def hard_mask(kept: Sequence[int], num_tokens: int) -> Row:
    """One at the kept positions."""
    return [mpf(int(n in kept)) for n in range(num_tokens)]


def straight_through(hard: Row, soft: Row) -> Row:
    """hard + (soft - stop_gradient(soft))."""
    return [h + (p - plain(p)) for h, p in zip(hard, soft, strict=True)]


def extra_token(tokens: Matrix, score: Row, kept: Sequence[int]) -> Row:
    """The dropped tokens pooled by the softmax of their scores."""
    dropped = [n for n in range(len(tokens)) if n not in kept]
    if not dropped:
        return [mpf(0)] * len(tokens[0])
    weights = softmax([score[n] for n in dropped])
    return weighted(weights, [tokens[n] for n in dropped])


def weighted(weights: Row, tokens: Matrix) -> Row:
    """sum over k of weights[k] * tokens[k]."""
    return [total(w * v[c] for w, v in zip(weights, tokens, strict=True)) for c in range(len(tokens[0]))]


def linear(rows: Matrix, weight: Matrix, bias: Row) -> Matrix:
    """rows W^T + b."""
    if len(rows) * len(weight) * len(bias) > 10_000:
        products = integer_product(rows, [list(column) for column in zip(*weight, strict=True)])
    else:
        products = [[total(x * w for x, w in zip(row, out, strict=True)) for out in weight] for row in rows]
    return [[x + b for x, b in zip(row, bias, strict=True)] for row in products]


def integer_product(left: Matrix, right: Matrix) -> Matrix:
    """left @ right with exact sums, for many numbers without a tape: integers times a power of two."""
    (a, a_exponent), (b, b_exponent) = _integers(left), _integers(right)
    return [[mp.ldexp(mpf(x), a_exponent + b_exponent) for x in row] for row in (a @ b)]


def _integers(matrix: Matrix) -> tuple[Any, int]:
    parts = [[x._mpf_ for x in row] for row in matrix]  # sign, mantissa, exponent, bits
    lowest = min((e for row in parts for _, m, e, _ in row if m), default=0)
    whole = [[(-1) ** s * (int(m) << (e - lowest)) if m else 0 for s, m, e, _ in row] for row in parts]
    return np.array(whole, dtype=object), lowest


def aggregation_logits(tokens: Matrix, parameters: dict[str, Any]) -> Matrix:
    """LayerNorm, Linear, GELU, Linear, transposed, times the scale: K C -> M K; parameters as numbers."""
    p = parameters
    affine = []
    for row in tokens:
        count = mpf(len(row))
        mean = total(row) / count
        centred = [x - mean for x in row]
        deviation = sqrt(total(x * x for x in centred) / count + p["norm_eps"])
        affine.append(
            [x / deviation * w + b for x, w, b in zip(centred, p["norm_weight"], p["norm_bias"], strict=True)]
        )
    hidden = [[gelu(x) for x in row] for row in linear(affine, p["hidden_weight"], p["hidden_bias"])]
    slots = linear(hidden, p["slots_weight"], p["slots_bias"])  # K M
    return [[p["scale"] * row[m] for row in slots] for m in range(len(slots[0]))]


def weights(logits: Matrix, decision: Row | None, gain: mpf | None = None) -> Matrix:
    """softmax(logits + log D), or with `gain` softmax(logits - (1 - D) * gain), over the tokens."""
    if decision is None:
        return [softmax(row) for row in logits]
    if gain is not None:
        mask = [(d - mpf(1)) * gain for d in decision]
    else:
        mask = [log(d) if plain(d) else mpf("-inf") for d in decision]
    return [softmax([x + y for x, y in zip(row, mask, strict=True)]) for row in logits]


def aggregate(pooling: Matrix, tokens: Matrix) -> Matrix:
    """W @ V."""
    if len(pooling) * len(tokens) * len(tokens[0]) > 10_000:
        return integer_product(pooling, tokens)
    return [weighted(row, tokens) for row in pooling]


def dot(left: Row, right: Row) -> Number:
    """The inner product."""
    return total(x * y for x, y in zip(left, right, strict=True))


def sigmoid(x: Number) -> Number:
    """1 / (1 + e^-x)."""
    return mpf(1) / (mpf(1) + exp(-x))


def min_max(row: Row, floor: mpf) -> Row:
    """(x - min) / max(max - min, floor)."""
    low, spread = min(row), max(row) - min(row)
    return [(x - low) / max(spread, floor) for x in row]


def cosine(left: Row, right: Row, floor: mpf) -> Number:
    """The cosine of two vectors, each norm at least `floor`."""
    return dot(left, right) / (max(sqrt(dot(left, left)), floor) * max(sqrt(dot(right, right)), floor))
