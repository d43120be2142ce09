"""What the reference accepts. Every stage's module checks its input here, once, before it computes."""

import torch
from torch import Tensor

from sdtps_ref.errors import InvalidInput


def readable(tensor: Tensor) -> bool:
    """Whether a value may be looked at: reading one breaks a compiled graph, and meta tensors hold none."""
    return not (torch.compiler.is_compiling() or tensor.is_meta)


def check_ratio(name: str, ratio: float) -> None:
    """Raise InvalidInput unless 0 < ratio <= 1."""
    if not 0 < ratio <= 1:  # NaN fails both comparisons
        raise InvalidInput.given(f"{name}={ratio}", "a number in (0, 1]")


def check_tau(tau: float) -> None:
    """Raise InvalidInput unless tau is positive and finite."""
    if not 0 < tau < float("inf"):
        raise InvalidInput.given(f"tau={tau}", "a finite number above 0")


def check_count(name: str, count: int) -> None:
    """Raise InvalidInput unless `count` is a whole number, 1 or more."""
    if isinstance(count, bool) or not isinstance(count, (int, torch.SymInt)) or count < 1:
        raise InvalidInput.given(f"{name}={count!r}", "a whole number, 1 or more")


def check_tokens(tokens: Tensor, dim: int, name: str = "tokens") -> None:
    """Raise InvalidInput unless `tokens` is floating point, B N C with C = dim and at least one token."""
    if not isinstance(tokens, Tensor) or not tokens.is_floating_point():
        kind = str(tokens.dtype) if isinstance(tokens, Tensor) else type(tokens).__name__
        raise InvalidInput.given(f"{name} of {kind}", "a floating-point tensor")
    if tokens.ndim != 3 or tokens.shape[1] < 1 or tokens.shape[2] != dim:
        raise InvalidInput.given(f"{name} of shape {tuple(tokens.shape)}", f"B N C with N >= 1 and C = dim = {dim}")


def check_rows(name: str, rows: Tensor, tokens: Tensor) -> None:
    """Raise InvalidInput unless `rows` holds one number a token: B N, floating point, no NaN."""
    accepted = f"a floating-point tensor of shape {tuple(tokens.shape[:2])}, one number a token"
    if not isinstance(rows, Tensor) or not rows.is_floating_point():
        kind = str(rows.dtype) if isinstance(rows, Tensor) else type(rows).__name__
        raise InvalidInput.given(f"{name} of {kind}", accepted)
    if rows.shape != tokens.shape[:2]:
        raise InvalidInput.given(f"{name} of shape {tuple(rows.shape)}", accepted)
    if readable(rows) and torch.isnan(rows).any():
        b, n = torch.isnan(rows).nonzero()[0].tolist()
        raise InvalidInput.given(f"{name} with NaN at [b={b}, n={n}]", "numbers: a NaN has no place in an order")


def check_feature(name: str, feature: Tensor, tokens: Tensor) -> None:
    """Raise InvalidInput unless `feature` is one vector a sample: B C, floating point."""
    expected = (tokens.shape[0], tokens.shape[2])
    if not isinstance(feature, Tensor) or not feature.is_floating_point() or feature.shape != expected:
        kind = f"{feature.dtype} of shape {tuple(feature.shape)}" if isinstance(feature, Tensor) else repr(feature)
        raise InvalidInput.given(f"{name}: {kind}", f"a floating-point tensor of shape {expected}, one vector a sample")


def check_some_kept(decision: Tensor) -> None:
    """Raise InvalidInput where a row of `decision` (B K) is zero throughout: there is nothing to pool.

    The subtract mask would cancel and pool the dropped tokens, the log mask would give NaN.
    """
    if not readable(decision):
        return
    empty = ~(decision > 0).any(-1)
    if empty.any():
        row = int(empty.nonzero()[0])
        raise InvalidInput.given(f"decision with nothing kept in row b={row}", "at least one D above 0 in every row")
