"""Single numbers that divide or multiply what a choice is trained by, and where they stand in other passes."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from sdtps_ref.properties.watching.forms import PRODUCTS
from sdtps_ref.properties.watching.graph import Graph
from sdtps_ref.properties.watching.record import Call, Watched

QUOTIENTS = ("div", "div_", "__truediv__", "true_divide", "__itruediv__", "divide")


def scales(watched: Watched, graph: Graph, decision: Call) -> Iterator[tuple[Call, float, bool]]:
    """Calls behind D that divide or multiply what has a gradient by one number, with it, and whether they divide."""
    for number in (decision.number, *graph.ancestors(decision.number)):
        call = watched.calls[number]
        found = number_of(call)
        if found is not None:
            yield call, *found[1:]


def number_of(call: Call) -> tuple[int, float, bool] | None:
    """Of a division, product or Gumbel softmax by a number: where what it scales is read, the number, and whether it
    divides."""
    trained = [i for i, t in enumerate(call.read) if t.requires_grad and t.numel() > 1]
    if len(trained) != 1:
        return None
    if call.name == "gumbel_softmax":
        value = call.kwargs.get("tau", call.args[1] if len(call.args) > 1 else 1.0)
        number = _one(value)
        return None if number is None else (trained[0], number, True)
    if call.name not in (*QUOTIENTS, *PRODUCTS) or len(call.args) != 2:
        return None
    divides = call.name in QUOTIENTS
    scaled = call.read[trained[0]]
    other = call.args[1] if call.args[0] is scaled else call.args[0]
    if divides and call.args[0] is not scaled:
        return None
    number = _one(other)
    return None if number is None else (trained[0], number, divides)


def _one(value: object) -> float | None:
    if isinstance(value, Tensor):
        return float(value) if value.numel() == 1 and not value.requires_grad else None
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def same_call(first: Watched, call: Call, other: Watched) -> Call | None:
    """That call in another pass: at its number, or as many times later on its line."""
    if call.number < len(other.calls):
        there = other.calls[call.number]
        if (there.name, there.place) == (call.name, call.place):
            return there
    alike = [each for each in first.calls if (each.name, each.place) == (call.name, call.place)]
    there_too = [each for each in other.calls if (each.name, each.place) == (call.name, call.place)]
    return there_too[alike.index(call)] if len(alike) == len(there_too) else None
