"""The line where a road to the score ends."""

from __future__ import annotations

import linecache

import torch
from torch import Tensor

from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.watching.choosing import is_hard
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call
from sdtps_ref.properties.watching.roads import hardened
from sdtps_ref.properties.watching.sites import Site

POOLS = ("matmul", "__matmul__", "bmm", "einsum", "mean", "sum", "scaled_dot_product_attention", "baddbmm", "softmax",
         "cat", "concat")  # fmt: skip


def where_lost(reading: Reading, site: Site) -> SourceLine | None:
    """The line where a gradient on its way to the choice, or from it, ends."""
    calls, graph = reading.watched.calls, reading.graph
    number = reading.watched.watch.number_of(site.ranked)
    # A detached copy for the ranking alone, beside a soft mask of the score itself, takes nothing away.
    cut = not site.score.requires_grad or not site.score_is_behind
    cut = cut or (site.decision is None and not site.ranked.requires_grad)
    for n in [] if number is None or not cut else [number, *graph.ancestors(number)]:
        call = calls[n]
        if any(t.requires_grad for t in call.read) and not any(t.requires_grad for t in call.tensors):
            return call.place if call.grad_enabled else entry_of_no_grad(calls, call)
    if site.decision is None and (soft := _detached_half(reading, site)) is not None:
        before = calls[soft.number - 1] if soft.number else soft
        # Where gradients were off for something else before, such as noise, this line alone is out of place there.
        return soft.place if soft.grad_enabled or not before.grad_enabled else entry_of_no_grad(calls, soft)
    hard = hardened(reading, site)
    return hard.place if hard is not None else site.place


def _detached_half(reading: Reading, site: Site) -> Call | None:
    """Where the soft half of a straight-through sum loses its gradient, on no way to the choice: a detach, or a line
    for which gradients are off."""
    if site.score_call is None:
        return None
    graph, calls = reading.graph, reading.watched.calls
    for number in graph.descendants(site.score_call.number):
        call = calls[number]
        detaches = call.name in ("detach", "__get__", "detach_")
        hands_on = not call.grad_enabled and not call.name.endswith("_like")
        if not (detaches or hands_on) or graph.depends(site.choice.number, number):
            continue
        cut = any(t.requires_grad for t in call.read) and bool(call.tensors)
        if not cut or any(t.requires_grad for t in call.tensors):
            continue
        meets = (n for n in graph.descendants(number) if graph.depends(n, site.choice.number))
        if any(calls[n].name in ("add", "__add__", "sub", "__sub__", "__radd__") for n in meets):
            return call
    return None


def entry_of_no_grad(calls: list[Call], call: Call) -> SourceLine | None:
    """The line from which gradients were off: the innermost one that stands above the calls on both sides of it."""
    first = call.number
    while first > 0 and not calls[first - 1].grad_enabled:
        first -= 1
    around = {frame for frame, _ in (calls[first - 1].stack if first else ())}
    for other in calls[call.number :]:
        if other.grad_enabled:
            around |= {frame for frame, _ in other.stack}
            break
    entry = next((place for frame, place in call.stack if frame in around), call.place)
    return entry and _statement_around(entry)


def _statement_around(place: SourceLine) -> SourceLine:
    """The `with torch.no_grad():` that the line stands under, where it does."""
    indent = _indent(linecache.getline(place.file, place.line))
    for number in range(place.line - 1, 0, -1):
        text = linecache.getline(place.file, number)
        if text.strip() and _indent(text) < indent:
            indent = _indent(text)
            if text.lstrip().startswith("with ") and any(
                word in text for word in ("no_grad", "inference_mode", "grad_enabled")
            ):
                return SourceLine(place.file, number)
            if text.lstrip().startswith(("def ", "class ")):
                break
    return place


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())


def where_it_ends(reading: Reading, source: Call) -> SourceLine | None:
    """The first line after `source` that takes its gradient and hands none on, to what is then returned; else None."""
    calls, graph = reading.watched.calls, reading.graph
    returned = [reading.watched.watch.number_of(tensor) for tensor in reading.outputs]
    for number in graph.descendants(source.number):
        call = calls[number]
        took = any(t.requires_grad for t in call.read)
        if not took or not call.tensors or any(t.requires_grad for t in call.tensors):
            continue
        if any(last is not None and graph.depends(last, number) for last in returned):
            return call.place
    return None


FLAT = ("clamp", "clip", "clamp_min", "clamp_max", "hardtanh", "relu", "round", "floor", "ceil", "sign", "heaviside",
        "where", "masked_fill", "clamp_", "maximum", "minimum")  # fmt: skip


def where_flat(reading: Reading, source: Call) -> Call | None:
    """The first call after `source` that a gradient reaches and none leaves: what it does has no slope there."""
    for number in reading.graph.descendants(source.number):
        call = reading.watched.calls[number]
        if call.name in FLAT and any(reading.size(t) > 0 for t in call.tensors):
            own = [t for t in call.read if t.requires_grad and _made_after(reading, t, source)]
            if own and all(reading.size(t) == 0 for t in own):
                return call
    return None


def _made_after(reading: Reading, tensor: Tensor, source: Call) -> bool:
    number = reading.watched.watch.number_of(tensor)
    return number is not None and reading.graph.depends(number, source.number)


def where_pooled_without(reading: Reading, site: Site) -> SourceLine | None:
    """The line, in the function that has D, after which what was picked is pooled without it.

    None where nothing is pooled, and where the kept tokens themselves are returned: a selector leaves pooling to
    others.
    """
    assert site.decision_call is not None
    graph, calls = reading.graph, reading.watched.calls
    picked = [calls[n] for n in graph.descendants(site.choice.number) if _picks_tokens(calls[n])]
    if not picked or any(output is t for call in picked for t in call.tensors for output in reading.watched.outputs):
        return None
    held = {frame for frame, _ in site.decision_call.stack}
    pools = [
        call
        for number in graph.descendants(picked[0].number)
        if (call := calls[number]).name in POOLS
        and not graph.depends(number, site.decision_call.number)
        and call.tensors[0].requires_grad
    ]
    # What joins the pooled tokens to others comes after the line that is looked for.
    pools.sort(key=lambda call: call.name in ("cat", "concat"))
    return next((place for frame, place in pools[0].stack if frame in held), None) if pools else None


def where_picked_without(reading: Reading, site: Site) -> SourceLine | None:
    """The line, in the function that has D, that picks tokens which are returned, or go into what is, without it."""
    assert site.decision_call is not None
    graph, calls = reading.graph, reading.watched.calls
    returned = [n for n in map(reading.watched.watch.number_of, reading.outputs) if n is not None]
    for number in graph.descendants(site.choice.number):
        call = calls[number]
        if not _picks_tokens(call) or graph.depends(number, site.decision_call.number):
            continue
        if any(graph.depends(last, number) for last in returned):
            return call.place_beside(site.decision_call)
    return None


def _picks_tokens(call: Call) -> bool:
    if call.name not in ("gather", "take_along_dim", "index_select", "__getitem__", "embedding") or not call.tensors:
        return False
    source, chosen = call.read[0], call.tensors[0]
    return source.is_floating_point() and source.dim() >= 3 and chosen.dim() >= 3 and chosen.requires_grad


def where_soft(reading: Reading) -> Call | None:
    """The straight-through sum of a choice whose result is its soft half: what the hard half adds is nothing."""
    calls, graph = reading.watched.calls, reading.graph
    for site in reading.sites:
        for number in graph.descendants(site.choice.number) if site.decision is None else ():
            call = calls[number]
            if call.name not in ("add", "__add__", "sub", "__sub__", "__radd__") or not call.tensors:
                continue
            made = call.tensors[0]
            if not made.requires_grad or made.numel() != site.ranked.numel() or is_hard(made):
                continue
            halves = [n for n in graph.ancestors(number) if calls[n].name in ("softmax", "sigmoid", "gumbel_softmax")]
            soft = [t for n in halves if not graph.depends(n, site.choice.number) for t in calls[n].tensors]
            if any(t.shape == made.shape and torch.allclose(t, made, atol=1e-6) for t in soft):
                return call
    return None
