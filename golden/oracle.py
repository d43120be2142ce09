"""The independent oracle: SDTPS in numpy float64, forward and closed-form gradient, for noise that is given.

It shares no line with the reference and imports no torch, so that a mistake in either one shows as a difference.
Golden vectors and the error budgets of the laws come from here. Every function is batched over a leading axis B,
takes anything `numpy.asarray` takes and computes in float64. The axes B, N, K, C, M are those of the project:
batch, tokens, kept tokens, channels, slots. Scoring, the stage before this one, is in `oracle_scoring`.

Source: SEPS (arXiv 2511.01390), its ancestor LAPS (CVPR 2024), and softmax, LayerNorm and GELU as torch defines them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sdtps_ref.golden.oracle_functions import Array, float64, gelu, linear, normal_cdf, softmax, softmax_vjp

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class SlotParameters:
    """The MLP from selected tokens to aggregation logits; weights are laid out as in torch.nn.Linear (out, in)."""

    norm_weight: ArrayLike  # C
    norm_bias: ArrayLike  # C
    hidden_weight: ArrayLike  # H C
    hidden_bias: ArrayLike  # H
    slots_weight: ArrayLike  # M H
    slots_bias: ArrayLike  # M
    scale: float = 1.0
    norm_eps: float = 1e-5


@dataclass(frozen=True)
class Pipeline:
    """Every intermediate of one forward pass, in the order in which they are computed."""

    soft_mask: Array  # B N
    keep_indices: Indices  # B K
    decision: Array  # B N
    selected_tokens: Array  # B K C
    selected_decision: Array  # B K
    aggregation_logits: Array  # B M K
    weights: Array  # B M K
    aggregated_tokens: Array  # B M C


@dataclass(frozen=True)
class Gradients:
    """The gradient of <cotangent, aggregated_tokens> with respect to each field."""

    score: Array  # B N
    tokens: Array  # B N C
    aggregation_logits: Array  # B M K
    decision: Array  # B N, zero at the dropped tokens


def gumbel_noise(uniform: ArrayLike) -> Array:
    """-log(-log U), any shape. ValueError unless 0 < U < 1: at both ends the noise is infinite."""
    u = float64(uniform)
    if not np.all((u > 0) & (u < 1)):
        raise ValueError(f"uniform must lie strictly between 0 and 1, but spans [{u.min()}, {u.max()}]")
    return -np.log(-np.log(u))


def soft_mask(score: ArrayLike, gumbel_noise: ArrayLike, tau: float) -> Array:
    """softmax((score + gumbel_noise) / tau) over N: B N, B N -> B N (Gumbel-Softmax, arXiv 1611.01144, eq. 2).

    The noise must be finite. ValueError when tau is not positive, or when the two shapes differ.
    """
    s, noise = float64(score), float64(gumbel_noise)
    if not tau > 0:
        raise ValueError(f"tau must be positive, but is {tau}")
    _require_shape("gumbel_noise", noise, s.shape)
    return softmax((s + noise) / tau)


def keep_indices(score: ArrayLike, keep: int) -> Indices:
    """Positions of the top `keep` scores, descending, ties to the lower position: B N -> B K, int64.

    The score is the noiseless one. ValueError unless 1 <= keep <= N.
    """
    s = float64(score)
    if not 1 <= keep <= s.shape[-1]:
        raise ValueError(f"keep must be between 1 and the {s.shape[-1]} tokens, but is {keep}")
    return np.argsort(-s, axis=-1, kind="stable")[:, :keep].astype(np.int64)


def hard_mask(keep_indices: Indices, num_tokens: int) -> Array:
    """One at the kept positions, zero elsewhere: B K -> B N. It is also the forward value of the decision."""
    mask = np.zeros((keep_indices.shape[0], num_tokens))
    np.put_along_axis(mask, keep_indices, 1.0, axis=-1)
    return mask


def selected_tokens(tokens: ArrayLike, keep_indices: Indices) -> Array:
    """V_s, the tokens at the kept positions in the order of keep_indices: B N C, B K -> B K C."""
    return np.take_along_axis(float64(tokens), keep_indices[:, :, None], axis=1)


def extra_token(tokens: ArrayLike, score: ArrayLike, keep_indices: Indices) -> Array:
    """The dropped tokens pooled by the softmax of their scores: B N C, B N, B K -> B 1 C; zeros if none is dropped."""
    v, s = float64(tokens), float64(score)
    if keep_indices.shape[-1] == s.shape[-1]:
        return np.zeros((v.shape[0], 1, v.shape[2]))
    dropped = hard_mask(keep_indices, s.shape[-1]) == 0
    return softmax(np.where(dropped, s, -np.inf))[:, None, :] @ v


def aggregation_logits(tokens: ArrayLike, parameters: SlotParameters) -> Array:
    """LayerNorm over C, Linear, exact (erf) GELU, Linear, transposed, times the scale: B K C -> B M K."""
    _, _, hidden = _norm_and_hidden(float64(tokens), parameters)
    return parameters.scale * linear(gelu(hidden), parameters.slots_weight, parameters.slots_bias).swapaxes(1, 2)


def weights(aggregation_logits: ArrayLike, decision: ArrayLike | None = None) -> Array:
    """W, the softmax over K with no weight where the decision is zero: B M K, B K -> B M K. None means all ones.

    ValueError when a decision is neither 0 nor 1, where masks rightly differ, or when a row keeps nothing.
    """
    logits = float64(aggregation_logits)
    if logits.ndim != 3:
        raise ValueError(f"aggregation_logits must have the axes B M K, but has shape {logits.shape}")
    if decision is None:
        return softmax(logits)
    d = float64(decision)
    _require_shape("decision", d, (logits.shape[0], logits.shape[2]))
    if not (np.isin(d, (0.0, 1.0)).all() and d.any(axis=-1).all()):
        raise ValueError("decision must hold only 0 and 1, and at least one 1 in every row")
    return softmax(np.where(d[:, None, :] == 0, -np.inf, logits))


def aggregate(weights: ArrayLike, tokens: ArrayLike) -> Array:
    """W @ V: B M K, B K C -> B M C."""
    return float64(weights) @ float64(tokens)


def pipeline(
    tokens: ArrayLike,  # B N C
    score: ArrayLike,  # B N
    gumbel_noise: ArrayLike,  # B N
    *,
    keep: int,
    tau: float,
    aggregation_logits: ArrayLike | SlotParameters,  # B M K, in the order of keep_indices, or the MLP that makes them
) -> Pipeline:
    """The forward pass from score to aggregated tokens. ValueError as from the stages, or when shapes disagree."""
    v, s = float64(tokens), float64(score)
    _require_shape("score", s, v.shape[:2])
    soft = soft_mask(s, gumbel_noise, tau)
    kept = keep_indices(s, keep)
    decision = hard_mask(kept, s.shape[1])  # hard + (soft - soft) is hard
    v_s = selected_tokens(v, kept)
    d_s = np.take_along_axis(decision, kept, axis=1)
    logits = _given_or_computed(aggregation_logits, v_s)
    w = weights(logits, d_s)
    return Pipeline(soft, kept, decision, v_s, d_s, logits, w, aggregate(w, v_s))


def pipeline_gradients(
    pipeline_result: Pipeline,
    cotangent: ArrayLike,  # B M C
    *,
    tau: float,
    gain: float = 1.0,
    parameters: SlotParameters | None = None,
) -> Gradients:
    """The closed-form gradient of <cotangent, aggregated_tokens>; tau is the one of the forward pass.

    `gain` is the slope of the mask at D = 1: 1 for logits + log D, 1e10 for the published logits - (1 - D) * 1e10.
    Without `parameters` the logits are held fixed; with those of the forward pass, tokens are also differentiated
    through the MLP. ValueError when the cotangent has another shape than the output.
    """
    p, g = pipeline_result, float64(cotangent)
    _require_shape("cotangent", g, p.aggregated_tokens.shape)
    d_logits = softmax_vjp(p.weights, g @ p.selected_tokens.swapaxes(1, 2))  # B M K
    d_decision = np.zeros_like(p.decision)  # B N
    np.put_along_axis(d_decision, p.keep_indices, gain * d_logits.sum(axis=1), axis=1)
    d_score = softmax_vjp(p.soft_mask, d_decision) / tau  # the hard mask is a constant: only soft_mask has a slope
    d_selected = p.weights.swapaxes(1, 2) @ g  # B K C
    if parameters is not None:
        d_selected = d_selected + _aggregation_logits_vjp(p.selected_tokens, parameters, d_logits)
    d_tokens = np.zeros((*p.decision.shape, g.shape[2]))  # B N C
    np.put_along_axis(d_tokens, p.keep_indices[:, :, None], d_selected, axis=1)
    return Gradients(d_score, d_tokens, d_logits, d_decision)


def _given_or_computed(logits: ArrayLike | SlotParameters, selected_tokens: Array) -> Array:
    return aggregation_logits(selected_tokens, logits) if isinstance(logits, SlotParameters) else float64(logits)


def _norm_and_hidden(tokens: Array, parameters: SlotParameters) -> tuple[Array, Array, Array]:
    """Normalised tokens B K C, their deviation B K 1 and the hidden layer before its GELU B K H."""
    centred = tokens - tokens.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + parameters.norm_eps)  # the biased one, as in torch
    normed = centred / deviation
    affine = normed * float64(parameters.norm_weight) + float64(parameters.norm_bias)
    return normed, deviation, linear(affine, parameters.hidden_weight, parameters.hidden_bias)


def _aggregation_logits_vjp(tokens: Array, parameters: SlotParameters, cotangent: Array) -> Array:
    normed, deviation, hidden = _norm_and_hidden(tokens, parameters)
    d_activation = parameters.scale * cotangent.swapaxes(1, 2) @ float64(parameters.slots_weight)  # B K H
    gelu_slope = normal_cdf(hidden) + hidden * np.exp(-(hidden**2) / 2) / math.sqrt(2 * math.pi)
    d_affine = (d_activation * gelu_slope) @ float64(parameters.hidden_weight)  # B K C
    d_normed = d_affine * float64(parameters.norm_weight)
    along_mean = d_normed.mean(axis=-1, keepdims=True)
    along_normed = normed * (d_normed * normed).mean(axis=-1, keepdims=True)
    return (d_normed - along_mean - along_normed) / deviation


def _require_shape(name: str, array: Array, shape: tuple[int, ...]) -> None:
    # numpy would broadcast a wrong shape into a plausible answer.
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, but has {array.shape}")
