"""What taking kept tokens away does, beside what the gradient says of it: the mask's gain."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.sites import Site

REMOVED = 6  # kept tokens that are taken away, one at a time, to see what that does
FEW, LARGE = 2, 3e7  # so many only where a pass computes more numbers than this


def removal(reading: Reading, site: Site) -> list[tuple[float, float]]:
    """For some kept tokens: what D's gradient says of taking it away, and what taking it away does to the loss.

    A right gradient says about what happens; the mask of 1e10 says 1e10 times as much. Empty if it cannot be tried.
    """
    assert site.decision is not None and site.decision_call is not None
    slope = reading.gradient(site.decision)
    if slope is None or reading._loss is None:
        return []
    decision = site.decision.detach()
    pairs = []
    computed = sum(tensor.numel() for call in reading.watched.calls for tensor in call.tensors)
    for position in _spread(decision.round().nonzero(), FEW if computed > LARGE else REMOVED):
        other = decision.clone()
        other[tuple(position)] = 0
        if _is_one_hot(decision):
            other[tuple(position[:-1])] = 1 - decision[tuple(position[:-1])]
        direction = other - decision

        def answer(result: Any, other: Tensor = other) -> Any:
            return other.to(result) if isinstance(result, Tensor) else result

        try:
            moved = reading.loss(reading.again({site.decision_call.number: answer}))
        except Exception:  # the code may not bear a row with one token less
            continue
        if moved is not None:
            pairs.append((float((slope * direction).sum()), float(moved.detach() - reading._loss.detach())))
    return pairs


def gain_of(pairs: list[tuple[float, float]]) -> float | None:
    """How many times too much, or too little, D's gradient says; None where nothing can be told."""
    said = sum(s * s for s, _ in pairs) ** 0.5
    does = sum(d * d for _, d in pairs) ** 0.5
    return said / does if said > 0 and does > 1e-12 else None


def _is_one_hot(decision: Tensor) -> bool:
    return decision.dim() > 1 and decision.shape[-1] == 2 and bool(((decision.sum(-1) - 1).abs() < 1e-3).all())


def _spread(positions: Tensor, count: int) -> list[list[int]]:
    step = max(1, len(positions) // count)
    return positions[::step][:count].tolist()
