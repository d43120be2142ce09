"""The noise of the user's own call, where the generator returns the least or the largest number."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sdtps_ref.properties.kit.extremes import put_ends, range_of
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, passes_of
from sdtps_ref.properties.watching.record import Call, Watched

OF_LOGARITHMS = ("log", "neg", "__neg__")


@law(needs="call", depends="call.gradient_is_finite", domain=CALL)
def noise_is_finite_at_its_ends(probe: Probe) -> None:
    """Outputs are finite where a uniform draw is the least or the largest number that the generator returns.

    Why: either comes once in 17 million float32 numbers, which a long training draws in an hour. One NaN is in every
    parameter after that step, and nobody finds out where it came from.
    Breaks when: an epsilon is added, `log(u + eps)`, so that the largest u becomes 1 or more; or u is drawn in a wider
    dtype and rounded to 1; or a soft mask of exactly 0 meets its own logarithm.
    Remedy: `u.clamp(tiny, 1 - eps / 2)` in the dtype that its logarithm is taken in.
    """
    reading = passes_of(probe).reading()
    answers = {call.number: put for call in reading.watched.calls if (put := _at_the_ends(call)) is not None}
    if not answers:
        raise Unsupported("no uniform numbers are drawn")
    outputs = [t for t in reading.watched.outputs if t.is_floating_point()]
    if not all(bool(torch.isfinite(t).all()) for t in outputs):
        raise Unsupported("outputs are not finite as they are")
    again = reading.again(answers)
    if [call.name for call in again.calls] != [call.name for call in reading.watched.calls]:
        raise Unsupported("other calls are made for other draws")
    if any(bool(t.isnan().any()) for t in again.outputs if t.is_floating_point()):
        first = _first_nan(again)
        raise Violation(
            "the output is NaN where a uniform draw is at the end of its range: 0, or the largest number under 1",
            where=first.place if first else None,
            effect="once in millions of draws, one row is NaN, and with it every parameter from then on",
            fix="u = torch.rand_like(score).clamp(1e-9, 1 - 1e-7), in float32",
        )


def _at_the_ends(call: Call) -> Callable[[Tensor], Tensor] | None:
    """What writes the ends of its own range into the numbers that a call drew; None where it drew none."""
    ends = range_of(call.name, call.args, call.kwargs)
    if ends is None or not call.tensors or call.tensors[0].dim() < 2:
        return None
    return lambda drawn: put_ends(drawn, *ends)


def _first_nan(watched: Watched) -> Call | None:
    """The first call that makes NaN, or plus infinity of a logarithm, of what had none."""
    for call in watched.calls:
        made = [t for t in call.tensors if t.is_floating_point()]
        if any(bool(t.isnan().any()) or (call.name in OF_LOGARITHMS and bool(t.isposinf().any())) for t in made):
            return call
    return None
