"""What a stage hands to the generator: its inputs, its formula twice over, and the error that it allows."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdtps_ref.golden import oracle
from sdtps_ref.golden.draw import Draw
from sdtps_ref.golden.floats import FORMATS
from sdtps_ref.golden.vectors import Tolerance

Array = NDArray[np.float64]
Inputs = dict[str, Any]
Outputs = dict[str, Any]

HIDDEN_RATIO = 0.2  # the papers' width of the aggregation's hidden layer, over C


@dataclass(frozen=True)
class CaseSpec:
    """A case before its outputs are known."""

    comment: str
    flags: tuple[str, ...]
    inputs: Inputs
    formats: tuple[str, ...] = tuple(FORMATS)  # at most these


@dataclass(frozen=True)
class Stage:
    """One file of vectors."""

    name: str
    title: str  # what the stage computes, and who can be held to it
    sketches: Callable[[], Iterator[CaseSpec]]
    exact: Callable[[Inputs], Outputs]  # nested lists of mpmath numbers or ints, at the precision that is set
    oracle: Callable[[Inputs], Outputs]  # the same names, from the numpy oracle
    tolerance: Callable[[Inputs, dict[str, Array]], Mapping[str, Tolerance]]  # an output without one is exact


def ulps(count: float, *, bfloat16: float | None = None) -> dict[str, int]:
    """The same count for every format, with another one for bfloat16 if given; 0 leaves it out."""
    counts = {"float64": count, "float32": count, "bfloat16": count if bfloat16 is None else bfloat16}
    return {dtype: math.ceil(count) for dtype, count in counts.items() if count}


def largest(*arrays: Any) -> float:
    """The largest finite magnitude in any of the arrays."""
    values = np.concatenate([np.abs(np.asarray(array, dtype=np.float64)).ravel() for array in arrays])
    return float(values[np.isfinite(values)].max(initial=0.0))


def slot_parameters(draw: Draw, dim: int, slots: int, **changes: Any) -> Inputs:
    """Weights of the aggregation's MLP, numbers of every format."""
    hidden = max(1, int(dim * HIDDEN_RATIO))
    drawn = {
        "norm_weight": draw.grid(dim, low=16, high=48),
        "norm_bias": draw.grid(dim, low=-32, high=32),
        "hidden_weight": draw.grid(hidden, dim, low=-24, high=24),
        "hidden_bias": draw.grid(hidden, low=-32, high=32),
        "slots_weight": draw.grid(slots, hidden, low=-64, high=64),
        "slots_bias": draw.grid(slots, low=-32, high=32),
        "scale": 1.0,
        "norm_eps": 1e-5,
    }
    return drawn | changes


def given_noise(uniform: Array | None, score: Array) -> Array:
    """The oracle's noise. An infinite one counts as 1e300, which gives the limit of everything that follows."""
    if uniform is None:
        return np.zeros_like(score)
    inside = (uniform > 0) & (uniform < 1)
    noise = oracle.gumbel_noise(np.where(inside, uniform, 0.5))
    return np.where(inside, noise, np.where(uniform == 0, -1e300, 1e300))


def noise_bound(uniform: Array | None) -> float:
    """No finite noise of these uniforms is larger in magnitude; from exponents, so that it is the same everywhere."""
    if uniform is None:
        return 0.0
    inside = uniform[(uniform > 0) & (uniform < 1)]
    return float(max(2.0, *(-math.frexp(1.0 - u)[1] + 1 for u in inside)))  # -log(-log u) < -log(1 - u) <= k log 2


def softmax_error(score: Array, noise: float, tau: float) -> float:
    """The units by which rounding (score + noise) / tau may move its softmax: an error in an exponent is relative."""
    return 8 + 4 * (largest(score) + noise) / tau


def pooled_error(logits: Array) -> float:
    """The units by which rounding the logits may move a pooled token, at the largest token's magnitude."""
    return 4 + 2 * largest(logits)
