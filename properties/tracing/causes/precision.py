"""Gradients that leave the range of their type on the way down."""

from __future__ import annotations

import math

import torch

from sdtps_ref.properties.tracing.cause import Cause
from sdtps_ref.properties.tracing.step import Step
from sdtps_ref.properties.watching.record import Call
from sdtps_ref.properties.watching.sites import Site


def find(step: Step) -> list[Cause]:
    """The first call, from the loss down, behind which a gradient is no longer finite."""
    if not bool(step.loss.detach().isfinite().all()):
        return _forward(step)
    for site in step.sites:
        at = site.decision if site.decision is not None else site.score
        if any((size := step.capture.norm(t)) is not None and not math.isfinite(size) for t in (at, site.score)):
            return [_overflow(step, site)]
    return []


def _forward(step: Step) -> list[Cause]:
    """The loss itself is not finite: the first call of the forward pass that returned NaN, or else infinity."""
    calls = step.reading.watch.calls[: step.reading.root_call + 1]
    first = next(
        (c for c in calls if any(t.is_floating_point() and bool(t.detach().isnan().any()) for t in c.tensors)), None
    )
    where = first.place if first is not None else None
    message = "the forward pass is NaN from here on" if first is not None else "the loss is infinite"
    effect = "every gradient is NaN, whatever the selection does"
    return [
        Cause(
            "overflow", message, where, effect, "look at what this line is given; earlier steps may have put it there"
        )
    ]


def _overflow(step: Step, site: Site) -> Cause:
    call, given = _where(step, site)
    dtype = _narrowest(call) if call is not None else site.score.dtype
    name = str(dtype).removeprefix("torch.")
    message = f"the gradient overflows in {name} here: it is {given:.2g} above, and not finite below"
    if call is None:
        message = "the gradient is not finite already where it leaves the loss"
    if step.scale > 1:
        effect = (
            f"the loss scaler ({step.scale:g}) skips the step and halves its scale, which hides it; with a factor such "
            "as 1e10 no scale is small enough"
        )
    else:
        effect = "the parameters become NaN with the next step"
    fix = "logits = logits + decision.log(): no large constant, the same forward pass"
    return Cause("overflow", message, call.place if call is not None else site.place, effect, fix)


def _where(step: Step, site: Site) -> tuple[Call | None, float]:
    """The latest call whose results have finite gradients, and what it reads has not."""
    reading, capture = step.reading, step.capture
    numbers = range(reading.root_call, -1, -1)
    for number in numbers:
        call = reading.watch.calls[number]
        above = [size for t in call.tensors if (size := capture.norm(t)) is not None]
        below = [size for t in call.read if t.requires_grad and (size := capture.norm(t)) is not None]
        if above and below and all(map(math.isfinite, above)) and not all(map(math.isfinite, below)):
            return call, max(above) / step.scale
    return None, 0.0


def _narrowest(call: Call) -> torch.dtype:
    floats = [t.dtype for t in (*call.read, *call.tensors) if t.is_floating_point()]
    return min(floats, key=lambda dtype: torch.finfo(dtype).max)
