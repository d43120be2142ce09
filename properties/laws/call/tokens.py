"""What belongs to a token goes with it in the user's own call: its channels and its position."""

from __future__ import annotations

import torch
from torch import Tensor

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, learned, passes_of
from sdtps_ref.properties.watching.record import Call
from sdtps_ref.properties.watching.road_ends import entry_of_no_grad

PICKS = ("gather", "take_along_dim", "__getitem__", "index_select")
MORE = 2  # tokens besides, as of a class
MOST = 100_000  # places that are compared


@law(needs="call", domain=CALL)
def tokens_are_picked_whole(probe: Probe) -> None:
    """Kept tokens are picked with all their channels, and an order is undone by its inverse.

    Why: `gather` takes as many channels as the index has. With an index B K 1 it takes channel 0 of every token, which
    is then broadcast without a word. And an order that is applied to what it has ordered scrambles it once more.
    Breaks when: `expand(-1, -1, C)` is forgotten, or tokens are put back by `order` and not by `order.argsort()`.
    Remedy: `index.unsqueeze(-1).expand(-1, -1, C)`; `ordered.gather(1, order.argsort(1))`.
    """
    reading, sites = learned(probe)
    calls, graph = reading.watched.calls, reading.graph
    first = min(site.choice.number for site in sites)
    orders: list[tuple[Tensor, Call]] = []
    for call in calls[first:]:
        index = next((t for t in call.read if not t.is_floating_point()), None)
        source = call.read[0] if call.read else None
        if call.name != "gather" or index is None or source is None or source.dim() != 3 or index.dim() != 3:
            continue
        if index.shape[-1] == 1 < source.shape[-1] and source.is_floating_point():
            raise Violation(
                f"gather picks one channel of {source.shape[-1]}: its index has one channel too",
                where=call.place,
                effect="of every kept token channel 0 alone is left, and is broadcast over all others",
                fix="index.unsqueeze(-1).expand(-1, -1, tokens.shape[-1])",
            )
        order = index.detach()[..., 0]
        for earlier, before in orders:
            if earlier.shape != order.shape or not graph.depends(call.number, before.number):
                continue
            if torch.equal(earlier, order):
                raise Violation(
                    "what was put in an order is put in that order once more, where it should be put back",
                    where=call.place_beside(*(site.choice for site in sites)),
                    effect="the tokens that are returned are in no order: those of other places stand in theirs",
                    fix="ordered.gather(1, order.argsort(1)) puts tokens back",
                )
        if order.shape == source.shape[:2] and _is_permutation(order):
            orders.append((order, call))


def _is_permutation(order: Tensor) -> bool:
    """Of every row, other than the one that leaves all in place."""
    places = torch.arange(order.shape[-1], device=order.device).expand_as(order)
    return torch.equal(order.sort(-1).values, places) and not torch.equal(order.gather(-1, order), places)


@law(needs="call", domain=CALL)
def nothing_is_written_over(probe: Probe) -> None:
    """Where several values are written to one place by index, they are added up, and do not replace each other.

    Why: `x[index] += y` reads, adds and writes. Of several values for one place the last one alone is left, and which
    one is last is not defined on a GPU.
    Breaks when: dropped tokens are merged into the kept ones, or votes counted, by `+=` or `scatter_`.
    Remedy: `x.index_put_((rows, index), y, accumulate=True)`, `index_add_`, `scatter_add_`.
    """
    calls = passes_of(probe).reading().watched.calls
    for call in calls:
        if call.name == "__setitem__" and not _adds_to_what_it_read(calls, call):
            continue  # one of several may be meant to stand for all, as of the points in a voxel
        lost = _lost(call)
        if lost:
            raise Violation(
                f"{lost} of the values that are written by index are replaced by others that go to the same place",
                where=call.place,
                effect="of all that goes to one place a single value counts, and which one is not defined",
                fix="x.index_put_((rows, index), values, accumulate=True), or scatter_add_",
            )


def _adds_to_what_it_read(calls: list[Call], call: Call) -> bool:
    """Whether it ends `x[index] += y`: what it writes was read from there."""
    target, _, values = call.args
    return any(
        each.name == "__getitem__" and each.args[0] is target and each.result is values for each in calls[: call.number]
    )


def _lost(call: Call) -> int:
    """How many of the values that a call writes are replaced by another one that it writes to the same place."""
    if call.name in ("scatter", "scatter_") and "reduce" not in call.kwargs and len(call.args) == 4:
        target, dim, index, values = call.args
        if not isinstance(values, Tensor) or not isinstance(dim, int) or index.dim() == 0:
            return 0
        places = torch.stack(torch.meshgrid(*map(torch.arange, index.shape), indexing="ij")).to(index.device)
        places[dim] = index
        values = values[tuple(slice(size) for size in index.shape)]
        return _differing(places.flatten(1), values.detach().reshape(-1, 1))
    if call.name == "__setitem__" and isinstance(call.args[2], Tensor):
        target, index, values = call.args
        parts = index if isinstance(index, tuple) else (index,)
        if not all(isinstance(part, Tensor) and not part.is_floating_point() for part in parts):
            return 0
        if any(part.dtype == torch.bool for part in parts):
            return 0
        places = torch.stack(torch.broadcast_tensors(*parts))
        rest = target.shape[len(parts) :]
        try:
            written = values.detach().expand(*places.shape[1:], *rest)
        except RuntimeError:
            return 0
        return _differing(places.flatten(1), written.reshape(places[0].numel(), -1))
    return 0


def _differing(places: Tensor, values: Tensor) -> int:
    """Of values (P ...) at places (D P), how many share theirs with one that is written later and differs."""
    if places.shape[1] > MOST or not values.numel():
        return 0
    _, group = places.unique(dim=1, return_inverse=True)
    last = torch.zeros_like(group).scatter_reduce(0, group, torch.arange(len(group)).to(group), "amax")
    return int((values != values[last[group]]).any(1).sum())


@law(needs="call", domain=CALL)
def kept_tokens_are_trained(probe: Probe) -> None:
    """What kept tokens are made of gets a gradient from the output.

    Why: tokens that are picked under `no_grad`, or detached, are numbers: what made them learns nothing from the task.
    Breaks when: the whole selection is called under `torch.no_grad()`, where its ranking alone is meant to be.
    Remedy: `with torch.no_grad(): index = ...`, and pick the tokens after it.
    """
    reading = passes_of(probe).reading()
    made = [n for t in reading.outputs if (n := reading.watched.watch.number_of(t)) is not None]
    choices = [n for site in reading.sites for n in (site.choice.number, *(call.number for call in site.further))]
    for call in reading.watched.calls:
        source, picked = (call.read[0], call.tensors[0]) if call.read and call.tensors else (None, None)
        if call.name not in PICKS or source is None or picked is None or not source.is_floating_point():
            continue
        if not source.requires_grad or picked.requires_grad or source.dim() != 3 or picked.dim() != 3:
            continue
        if not 1 < picked.shape[1] < source.shape[1] or not any(reading.graph.depends(call.number, n) for n in choices):
            continue
        if any(reading.graph.depends(n, call.number) for n in made) and reading.size(source) == 0:
            raise Violation(
                f"{picked.shape[1]} kept tokens are picked without a gradient, and what they are made of gets none",
                where=entry_of_no_grad(reading.watched.calls, call) if not call.grad_enabled else call.place,
                effect="what makes the tokens learns nothing from the output",
                fix="rank under no_grad, if at all, and pick the tokens outside of it",
            )
