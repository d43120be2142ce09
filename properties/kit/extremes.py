"""Draws at the ends of their range, which a generator returns once in millions of them.

Torch only and self-contained, like `values`: a failure's script carries these functions' own source text.
"""

from typing import Any

import torch
from torch import Tensor


class AtTheEnds(torch.overrides.TorchFunctionMode):
    """In each row of uniform numbers that is drawn, the first is the least that there is, the second the largest."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        ends = range_of(getattr(function, "__name__", ""), args, kwargs or {})
        return result if ends is None else put_ends(result, *ends)


def range_of(name: str, args: Any, kwargs: Any) -> tuple[float, float] | None:
    """Between which numbers a torch call of this name draws uniformly; None where it does not."""
    if name not in ("rand", "rand_like", "uniform_"):
        return None
    bounds = [bound for bound in (*args[1:3], *kwargs.values()) if type(bound) in (int, float)]
    low, high = bounds if name == "uniform_" and len(bounds) == 2 else (0.0, 1.0)
    return float(low), float(high)


def put_ends(drawn: Tensor, low: float, high: float) -> Tensor:
    """Write them, in place: `low`, and the largest number under `high` that a generator of this dtype returns."""
    if drawn.is_floating_point() and drawn.dim() > 0 and drawn.shape[-1] > 2:
        with torch._C.DisableTorchFunction(), torch.no_grad():
            drawn[..., 0] = low
            drawn[..., 1] = high - (high - low) * torch.finfo(drawn.dtype).eps / 2
    return drawn


def selected_at_the_ends(built: Any, tokens: Tensor, score: Tensor, seed: int) -> Any:
    """What a selector returns for such draws."""
    torch.manual_seed(seed)
    with AtTheEnds():
        return built(tokens, score)
