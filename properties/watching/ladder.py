"""The gradient at every rung between the loss and what the score is made of, and where it grows."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call
from sdtps_ref.properties.watching.sites import Site

JUMP = 1e3  # between a call's result and what it was made of, a gradient that grows by more enters there


def _growth(reading: Reading, calls: list[Call], first: int) -> tuple[Call, float] | None:
    """The call of these at which the gradient grows the most; first: what counts depends on this call."""
    rungs = []
    for call in calls:
        results = [t for t in call.tensors if t.requires_grad]
        given = [t for t in call.read if t.requires_grad and _on_the_way(reading, t, first)]
        if given and results:
            rungs.append((call, results, given))
    grown = []
    for call, results, given in rungs:
        made = max(map(reading.size, results))
        ratio = max(map(reading.size, given)) / made if made else 0.0
        if ratio >= JUMP:
            grown.append((call, min(ratio, _by_itself(reading, results, given))))
    most = max(grown, key=lambda found: found[1], default=None)
    return most if most is not None and most[1] >= JUMP else None


def _by_itself(reading: Reading, results: list[Tensor], given: list[Tensor]) -> float:
    """How much the gradient grows through one call alone: what it read may get more of it from others."""
    grown = 0.0
    for result in results:
        slope = reading.gradient(result)
        if slope is None or not slope.any():
            continue
        try:
            through = torch.autograd.grad(result, given, slope, retain_graph=True, allow_unused=True)
        except RuntimeError:  # the graph is gone, as after a step of training
            return math.inf
        grown = max([grown, *(float(part.norm() / slope.norm()) for part in through if part is not None)])
    return grown


def _on_the_way(reading: Reading, tensor: Tensor, first: int) -> bool:
    number = reading.watched.watch.number_of(tensor)
    return number is not None and (first < 0 or reading.graph.depends(number, first))


def jump_above(reading: Reading, site: Site) -> tuple[Call, float] | None:
    """The call between D and the loss at which the gradient grows by JUMP or more, and by how much."""
    assert site.decision_call is not None
    first = site.decision_call.number
    calls = [reading.watched.calls[n] for n in reading.graph.descendants(first) if n != first]
    # What is subtracted for safety alone, as a row's maximum is, has a gradient that cancels: its rung says nothing.
    return _growth(reading, [call for call in calls if call.name not in ("amax", "max", "logsumexp")], first)


def jump_below(reading: Reading, site: Site) -> tuple[Call, float] | None:
    """The call that the score is made by at which the gradient grows by JUMP or more, and by how much."""
    return _growth(reading, calls, -1) if (calls := reading.behind_score(site)) else None


def first_not_finite(reading: Reading) -> Call | None:
    """The call at which the gradient stops being finite: that of all its results is, that of something it read is not,
    though nothing else that read it has such a one."""
    spoilt = {
        id(t)
        for call in reading.watched.calls
        if not all(math.isfinite(reading.size(made)) for made in call.tensors if made.requires_grad)
        for t in call.read
    }
    for call in reversed(reading.watched.calls):
        if not any(reading.size(t) for t in call.tensors if t.requires_grad):
            continue
        if any(t.requires_grad and id(t) not in spoilt and not math.isfinite(reading.size(t)) for t in call.read):
            return call
    return None
