"""What a black box must have computed, read off its Jacobians: soft mask, temperature, weights, gain.

All in numpy float64. The one identity behind it: a softmax p reached through any linear lever H has the
Jacobian F[:, n] = g p_n (H[:, n] - h) with h = H p. For the decision H is the identity and g = 1 / tau; for
the whole pipeline H[m c, k] = W[m, k] (token[k, c] - output[m, c]) and g = gain / tau.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SoftMask:
    """What `soft_mask` found for one sample.

    probabilities: N, sum to one; rate: g above; residual: largest entry of the Jacobian that these two
    do not explain, over its largest entry (1e-12 for a softmax, 0.1 and more for anything else).
    """

    probabilities: Array
    rate: float
    residual: float

    @property
    def saturated(self) -> bool:
        """One token takes nearly all: the Jacobian is what rounding left of p (1 - p), if p was found in float32."""
        return bool(self.probabilities.min() >= 0 and 0.99 < self.probabilities.max() <= 1)


def soft_mask(jacobian: Array, lever: Array | None = None) -> SoftMask:
    """Recover p and g from one sample's Jacobian by linear least squares.

    jacobian: entries x N. lever: entries x N, zero at dropped tokens; None means the identity. The
    entries may be outputs, or a handful of random combinations of them. Needs three tokens or more
    that the lever tells apart (with two, every column is parallel and any p explains them).
    """
    tokens = jacobian.shape[1]
    lever = np.eye(tokens) if lever is None else lever
    largest = np.abs(jacobian).max()
    if not np.isfinite(largest) or largest == 0:
        return SoftMask(np.full(tokens, np.nan), float(largest), np.inf)

    # F[e, n] u_n + h_e = H[e, n] with u_n = 1 / (g p_n). The mean over n takes h out; the normal equations
    # of what is left are diag(F'F) - F'F / N, and with columns of length one they are well conditioned.
    scaled = jacobian / largest
    lengths = np.sqrt((scaled**2).sum(axis=0))
    if not lengths.all():
        return SoftMask(np.full(tokens, np.nan), float(largest), np.inf)
    unit = scaled / lengths
    centred = lever - lever.mean(axis=1, keepdims=True)
    normal = np.eye(tokens) - unit.T @ unit / tokens
    inverse = np.linalg.lstsq(normal, (unit * centred).sum(axis=0), rcond=None)[0] / lengths
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = 1 / inverse
        probabilities = rates / rates.sum()
        residual = np.abs(scaled - closed_form(lever, probabilities, rates.sum())).max()
    residual = float(residual) if np.isfinite(residual) else np.inf
    return SoftMask(probabilities, float(rates.sum() * largest), residual)


def softmax(scaled_score: Array) -> Array:
    """softmax over the last axis, in float64."""
    exponential = np.exp(scaled_score - scaled_score.max(axis=-1, keepdims=True))
    return exponential / exponential.sum(axis=-1, keepdims=True)


def closed_form(lever: Array, probabilities: Array, rate: float) -> Array:
    """The Jacobian g p_n (H[:, n] - H p), entries x N, that `soft_mask` reads backwards."""
    return rate * probabilities * (lever - (lever @ probabilities)[:, None])


def weights(pooled: Array, tokens: Array) -> tuple[Array, float]:
    """The W (M K) with pooled (M C) = W @ tokens (K C) and rows that sum to one, and what it leaves unexplained.

    Unique when C + 1 >= K and the tokens are in general position.
    """
    with_sum = np.hstack([tokens, np.ones((len(tokens), 1))])  # K C+1
    target = np.hstack([pooled, np.ones((len(pooled), 1))])  # M C+1
    solution = np.linalg.lstsq(with_sum.T, target.T, rcond=None)[0]
    residual = np.abs(with_sum.T @ solution - target.T).max() / max(np.abs(target).max(), 1e-300)
    return solution.T, float(residual)


def pooling_lever(weights: Array, tokens: Array, pooled: Array) -> Array:
    """H[m c, k] = W[m, k] (token[k, c] - pooled[m, c]): how the pooled tokens move with D at D = 1, gain one."""
    lever = weights[:, None, :] * (tokens.T[None] - pooled[:, :, None])  # M C K
    return lever.reshape(-1, len(tokens))
