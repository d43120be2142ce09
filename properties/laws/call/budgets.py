"""Budgets in the user's own call: a share of open tokens that is held to a target."""

from __future__ import annotations

from torch import Tensor

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, decided
from sdtps_ref.properties.watching.forms import PRODUCTS
from sdtps_ref.properties.watching.graph import SAME_NUMBERS
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call
from sdtps_ref.properties.watching.terms_of_loss import is_small

DIFFERENCES = ("sub", "__sub__", "rsub", "__rsub__")
LINEAR = (*SAME_NUMBERS, *PRODUCTS, "mean", "sum", "add", "__add__", "__radd__", "div", "__truediv__", "stack")


@law(needs="call", level="SHOULD", depends="call.gradient_reaches_score", domain=CALL)
def budgets_have_a_minimum(probe: Probe) -> None:
    """A cost of how far a share is from its target grows to both sides: the difference is squared, or its size taken.

    Why: `share - target` has the slope of `share`, whatever the target is. It goes below zero, and pays for closing
    every gate there is; the target in it does nothing.
    Breaks when: the square is forgotten, `(D.mean(1) - keep_ratio).mean()`.
    Remedy: `(D.mean(1) - keep_ratio).square().mean()`. For a plain price of what is open leave the target out.
    """
    reading, sites = decided(probe)
    seen = False
    for call in reading.watched.calls:
        if call.name not in DIFFERENCES or not _is_of_a_share(reading, call, [s.decision_call.number for s in sites]):  # type: ignore[union-attr]
            continue
        seen = True
        if _is_returned_as_it_is(reading, call):
            raise Violation(
                "how far the share of D is from a target is returned with its sign: it has no minimum there",
                where=call.place,
                effect="as a loss it closes every gate, whatever the target is",
                fix="(share - target).square().mean()",
            )
    if not seen:
        raise Unsupported("no share of D is held to a number")


def _is_of_a_share(reading: Reading, call: Call, decisions: list[int]) -> bool:
    """Whether a number other than 0 is taken off a mean of D."""
    numbers = [a for a in (*call.args, *call.kwargs.values()) if type(a) in (int, float) and a != 0]
    if len(call.read) != 1 or len(numbers) != 1 or not 0 < abs(numbers[0]) < 1 or not is_small(call.read[0]):
        return False
    share, made = call.read[0], reading.watched.watch.number_of(call.read[0])
    if made is None or not share.requires_grad or not bool(((share >= 0) & (share <= 1)).all()):
        return False
    way = [made]
    while way[-1] not in decisions:
        before = reading.watched.calls[way[-1]]
        if before.name not in LINEAR or before.name in PRODUCTS:
            return False
        further = [n for n in before.inputs if any(reading.graph.depends(n, d) for d in decisions)]
        if len(further) != 1:
            return False
        way.append(further[0])
    return any(reading.watched.calls[n].name in ("mean", "sum") for n in way)


def _is_returned_as_it_is(reading: Reading, call: Call) -> bool:
    """Whether it comes to one returned number by sums, means and plain factors alone."""
    returned = [t for t in reading.watched.outputs if t.numel() == 1 and t.requires_grad]
    todo = list(call.tensors)
    while todo:
        tensor: Tensor = todo.pop()
        if any(tensor is t for t in returned):
            return True
        for number in reading.graph.descendants(call.number):
            reader = reading.watched.calls[number]
            if any(t is tensor for t in reader.read) and reader.name in LINEAR and is_small(reader.tensors[0]):
                others = [t for t in reader.read if t is not tensor]
                if reader.name not in PRODUCTS or not others:
                    todo += reader.tensors
    return False
