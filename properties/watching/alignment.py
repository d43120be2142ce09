"""Whether D acts on the tokens that it was made for."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.watching.choosing import is_hard
from sdtps_ref.properties.watching.forms import meeting_of
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call
from sdtps_ref.properties.watching.sites import Site

PICKS = ("gather", "take_along_dim", "index_select", "__getitem__", "embedding")
REORDERS = ("sort", "scatter", "scatter_", "scatter_add", "index_add", "flip", "roll", "__setitem__", "index_put_")


def misaligned(reading: Reading, site: Site) -> tuple[str, SourceLine | None] | None:
    """What is wrong, and where, if zeroing D for one kept token silences another token; None if that cannot be seen."""
    picked = _picked(reading, site)
    if picked is None or site.decision is None or site.decision_call is None or not is_hard(site.decision):
        return None
    call, source, chosen = picked
    if (gathered := _gathered_in_another_order(reading, site, call)) is not None:
        return "D and the tokens are in different orders: each is gathered by indices of its own", gathered.place
    decision = site.decision.detach()
    if _meets_others_first(reading, site, call):
        return "D of this choice acts on the tokens of another one", _where_they_meet(reading, site)
    if (
        site.time_first
        or decision.dim() != 2
        or chosen.dim() != 3
        or source.dim() != 3
        or decision.shape != source.shape[:2]
    ):
        return None
    before = _rows_that_matter(reading, call, None)
    if before is None or not before.all():
        return None
    wrong = 0
    tried = 0
    for b, n in decision.round().nonzero().tolist()[:: max(1, int(decision.sum()) // 6)][:6]:
        k = (chosen[b].detach() == source[b, n].detach()).all(-1).nonzero().flatten().tolist()
        if len(k) != 1:
            continue
        other = decision.clone()
        other[b, n] = 0
        after = _rows_that_matter(reading, call, {site.decision_call.number: lambda r, other=other: other.to(r)})
        if after is None:
            return None
        silent = (~after[b]).nonzero().flatten().tolist()
        tried += 1
        if silent and k[0] not in silent:
            wrong += 1
        if not silent and not (~after).any() and len(reading.sites) > 1 and _silences_another(reading, site, other):
            return "D of this choice acts on the tokens of another one", _where_they_meet(reading, site)
    if tried and wrong:
        what = "D and the tokens are in different orders: zeroing D for a kept token silences another token"
        return what, _where_gathered(reading, site) or call.place
    return None


def _gathered_in_another_order(reading: Reading, site: Site, picking: Call) -> Call | None:
    """The call that gathers D, where it takes the same positions as `picking` does, in another order, and both meet
    in the order in which they were taken."""
    decision, own = site.decision_call, _indices(picking)
    meeting = None if decision is None else meeting_of(reading, decision)
    if decision is None or own is None or meeting is None or not reading.graph.depends(meeting.number, picking.number):
        return None
    graph, calls = reading.graph, reading.watched.calls
    between = [n for n in graph.ancestors(meeting.number) if graph.depends(n, picking.number) and n != picking.number]
    behind = [n for n in graph.ancestors(meeting.number) if graph.depends(n, decision.number)]
    gathers = [calls[n] for n in behind if calls[n].name in PICKS and _indices(calls[n]) is not None]
    if len(gathers) != 1 or any(calls[n].name in (*PICKS, *REORDERS) for n in between):
        return None
    indices = _indices(gathers[0])
    assert indices is not None
    same = indices.shape == own.shape and torch.equal(indices.sort(-1).values, own.sort(-1).values)
    return gathers[0] if same and not torch.equal(indices, own) else None


def _indices(call: Call) -> Tensor | None:
    """B K: the positions that a call takes; None where each channel has its own, or all samples have the same."""
    found = [t for t in call.read[1:] if not t.is_floating_point() and t.dtype != torch.bool]
    if len(found) != 1 or found[0].dim() not in (2, 3):
        return None
    indices = found[0].detach()
    if indices.dim() == 2:
        return indices
    return indices[..., 0] if bool((indices == indices[..., :1]).all()) else None


def _rows_that_matter(reading: Reading, call: Call, answers: Any) -> Tensor | None:
    """B K: whether the output depends on each picked token, through the pooling alone; None where the call made once
    more picks others, as it does where it remembers the one before."""
    try:
        watched = reading.again(answers or {})
    except Exception:
        return None
    again = watched.calls[call.number]
    chosen = again.tensors[0]
    if (
        again.name != call.name
        or not chosen.requires_grad
        or not torch.equal(chosen.detach(), call.tensors[0].detach())
    ):
        return None
    loss = _pooled_loss(reading, watched)
    if loss is None:
        return None
    slope = torch.autograd.grad(loss, chosen, retain_graph=True, allow_unused=True)[0]
    return None if slope is None or not slope.numel() else (slope.abs().amax(-1) > 1e-9 * slope.abs().amax())


def _pooled_loss(reading: Reading, watched: Any) -> Tensor | None:
    return reading.loss(watched)


def _meets_others_first(reading: Reading, site: Site, own: Call) -> bool:
    """Whether the first tokens that this D is brought together with are another choice's, and not its own."""
    assert site.decision_call is not None
    found = [_picked(reading, other) for other in reading.sites if other is not site]
    # One choice after another: what the later picks is made of what the earlier kept, and meets its D by right.
    graph, own_decision = reading.graph, site.decision_call.number
    picks = [each[0].number for each in found if each]
    others = [n for n in picks if not graph.depends(n, own_decision) and not graph.depends(own_decision, n)]
    for number in reading.graph.descendants(site.decision_call.number):
        if reading.graph.depends(number, own.number):
            return False
        if any(reading.graph.depends(number, other) for other in others):
            return True
    return False


def _silences_another(reading: Reading, site: Site, other: Tensor) -> bool:
    assert site.decision_call is not None
    for each in reading.sites:
        picked = None if each is site else _picked(reading, each)
        if picked is None:
            continue
        before = _rows_that_matter(reading, picked[0], None)
        after = _rows_that_matter(reading, picked[0], {site.decision_call.number: lambda r: other.to(r)})
        if before is not None and after is not None and bool((before & ~after).any()):
            return True
    return False


def _where_gathered(reading: Reading, site: Site) -> SourceLine | None:
    """The line that gathers D at the kept positions."""
    assert site.decision_call is not None
    calls = (reading.watched.calls[n] for n in reading.graph.descendants(site.decision_call.number))
    return next((call.place for call in calls if call.name in PICKS), None)


def _where_they_meet(reading: Reading, site: Site) -> SourceLine | None:
    """The line, in a function that has this D, that brings it together with another choice's tokens."""
    assert site.decision_call is not None
    others = [picked[0].number for each in reading.sites if each is not site and (picked := _picked(reading, each))]
    for number in reading.graph.descendants(site.decision_call.number):
        call = reading.watched.calls[number]
        if any(reading.graph.depends(number, other) for other in others):
            return call.place_beside(site.decision_call)
    return site.decision_call.place


def _picked(reading: Reading, site: Site) -> tuple[Call, Tensor, Tensor] | None:
    """The call that picks the kept tokens, what it picks them from, and what it picked."""
    numbers = [site.choice.number, *(call.number for call in site.further)]
    for call in reading.watched.calls[site.choice.number + 1 :]:
        if call.name not in PICKS or not call.tensors:
            continue
        source, chosen = call.read[0], call.tensors[0]
        if not source.is_floating_point() or source.dim() != 3 or chosen.dim() != 3 or not chosen.requires_grad:
            continue
        indices = [t for t in call.read[1:] if not t.is_floating_point()]
        made = [reading.watched.watch.number_of(t) for t in indices]
        follows = any(m is not None and any(reading.graph.depends(m, n) for n in numbers) for m in made)
        if follows and chosen.shape[0] == source.shape[0] and 1 < chosen.shape[1] < source.shape[1]:
            return call, source, chosen
    return None
