"""The decision matrix D: a hard choice in the forward pass, a softmax in the backward pass."""

import torch
from torch import Tensor


def soft_mask(score: Tensor, gumbel_noise: Tensor | None, tau: float) -> Tensor:
    """softmax((score + gumbel_noise) / tau) over the tokens.

    score: B N; gumbel_noise: B N, or None for none; tau: temperature above 0. Returns B N in the dtype
    of `score` (autocast would widen it), rows summing to one. Source: Gumbel-Softmax, Jang et al. 2017.
    """
    noisy = score if gumbel_noise is None else score + gumbel_noise
    return torch.softmax(noisy / tau, dim=-1).to(score.dtype)  # B N


def keep_indices(score: Tensor, keep: int) -> Tensor:
    """Positions of the `keep` highest scores of each row, highest first: B K, int64.

    The score is the noiseless one: noise explores in the gradient, it does not choose.
    """
    return torch.topk(score, keep, dim=-1).indices  # B K


def hard_mask(score: Tensor, keep_indices: Tensor) -> Tensor:
    """One at `keep_indices` (B K), zero elsewhere, in the shape and dtype of `score`: B N.

    Compared rather than scattered: behind a score that a row reduction normalised, torch.compile
    (inductor, 2.4 and 2.13 tried) reads what `zeros.scatter` has not yet written, and D is zero everywhere.
    """
    positions = torch.arange(score.shape[-1], device=score.device)  # N
    return (keep_indices.unsqueeze(-1) == positions).any(-2).to(score.dtype)  # B K N, then B N


def straight_through(hard_mask: Tensor, soft_mask: Tensor) -> Tensor:
    """D = hard_mask + (soft_mask - stop_gradient(soft_mask)), B N.

    Forward it is `hard_mask` to the bit, because the bracket is exactly zero. Without the bracket,
    Python adds from the left and 8 to 14 % of the ones are no longer ones. Backward, the gradient
    goes to `soft_mask` as if D were it.
    """
    return hard_mask + (soft_mask - soft_mask.detach())
