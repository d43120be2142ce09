"""Functions that torch has and numpy lacks, in float64, of anything that `numpy.asarray` takes."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
# numpy has no erfc. Phi(x) = erfc(-x / sqrt 2) / 2 keeps its digits in the lower tail, where 1 + erf(x) cancels.
_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def linear(x: ArrayLike, weight: ArrayLike, bias: ArrayLike) -> Array:
    """x W^T + b, as torch.nn.functional.linear: (..., in), (out, in), (out) -> (..., out)."""
    return float64(x) @ float64(weight).T + float64(bias)


def gelu(x: ArrayLike) -> Array:
    """x Phi(x), the exact GELU (torch's approximate="none"), any shape."""
    z = float64(x)
    return z * normal_cdf(z)


def float64(x: ArrayLike) -> Array:
    """x as a float64 array."""
    return np.asarray(x, dtype=np.float64)


def normal_cdf(x: Array) -> Array:
    """Phi(x), the standard normal distribution function."""
    return 0.5 * float64(_erfc(-x / math.sqrt(2)))


def softmax(x: Array) -> Array:
    """exp(x) / sum(exp(x)) over the last axis."""
    shifted = np.exp(x - x.max(axis=-1, keepdims=True))  # the largest becomes exp(0), so nothing overflows
    return shifted / shifted.sum(axis=-1, keepdims=True)


def softmax_vjp(p: Array, cotangent: Array) -> Array:
    """p * (g - sum(p * g)) over the last axis."""
    # g may be moved by a constant. Making it zero at the largest p keeps digits of a nearly one-hot softmax, whose
    # gradient g - sum(p * g) would otherwise be the difference of two nearly equal numbers.
    g = cotangent - np.take_along_axis(cotangent, p.argmax(axis=-1, keepdims=True), axis=-1)
    return p * (g - (p * g).sum(axis=-1, keepdims=True))
