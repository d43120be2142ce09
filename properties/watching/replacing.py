"""Kept tokens that others are written over: which rows a call replaces, and what is left of what was there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from sdtps_ref.properties.kit.values import draw
from sdtps_ref.properties.watching.alignment import PICKS
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call, Watched
from sdtps_ref.properties.watching.sites import Site

REDUCES = ("scatter_reduce", "scatter_reduce_", "index_reduce", "index_reduce_")
WRITES = (*REDUCES, "scatter", "scatter_", "index_copy", "index_copy_", "index_put", "index_put_", "masked_scatter",
          "masked_scatter_", "__setitem__", "where")  # fmt: skip
MOST = 10_000_000  # numbers of a call that is made again


@dataclass(frozen=True)
class Replaced:
    """Of `kept` rows that a call writes among, `lost` have no influence on the result any more."""

    call: Call
    kept: int
    lost: int


def replaced(reading: Reading, sites: list[Site]) -> Replaced | None:
    """The first call that replaces some kept tokens by what is made of dropped ones; None where none does.

    The tokens that are replaced must have no part in the result by any road but the score, and those that are not, and
    the dropped ones, must have one.
    """
    found = [(call, *each) for call in reading.watched.calls for each in _written_over(reading, sites, call)]
    again = _without_scores(reading, sites) if found else None
    for call, rows, pick in found if again is not None else ():
        assert again is not None
        source, result = again.calls[pick.number].args[0], again.calls[call.number].tensors[0]
        gone, stay = _tokens(pick, rows), _tokens(pick, ~rows)
        part = _part(reading.loss(again), source)
        # What stands in their place is made of tokens that were not picked; what is left, of those that were there.
        behind, left = (_part(_sum_of(result, each), source) for each in (rows, ~rows))
        if gone is None or stay is None or part is None or behind is None or left is None or (gone & stay).any():
            continue
        dropped = ~(gone | stay)
        if (part[gone] | behind[gone]).any() or not (part & left)[stay].all() or not (behind & part & dropped).any():
            continue
        if any(_are_kept(site, gone, rows) for site in sites):
            return Replaced(call, rows.numel(), int(rows.sum()))
    return None


def _are_kept(site: Site, tokens: Tensor, rows: Tensor) -> bool:
    """Whether D of all these tokens is one: D of all tokens, or of the kept ones alone."""
    assert site.decision is not None
    decision = site.decision.detach()
    decision = decision.squeeze(-1) if decision.dim() > tokens.dim() else decision
    if decision.shape == tokens.shape:
        return bool((decision[tokens] > 0.5).all())
    return decision.numel() == rows.numel() and bool((decision > 0.5).all())


def _written_over(reading: Reading, sites: list[Site], call: Call) -> Iterator[tuple[Tensor, Call]]:
    """Which rows of kept tokens a call replaces, some and not all, and the call that picked those tokens."""
    if call.name not in WRITES or call.place is None or not call.tensors[0].requires_grad or not _by_index(call):
        return
    for place in (1, 2) if call.name == "where" else (0,):
        target = call.args[place] if len(call.args) > place else None
        if not isinstance(target, Tensor) or target.dim() < 2 or not target.is_floating_point():
            continue
        made = _made(reading, call, target)
        behind = [] if made is None else [made, *reading.graph.ancestors(made)]
        picks = (reading.watched.calls[n] for n in behind if reading.watched.calls[n].name in PICKS)
        pick = next((each for each in picks if _picks_kept(reading, sites, each, target)), None)
        rows = None if pick is None or target.numel() > MOST else _replaced_rows(call, place)
        if pick is not None and rows is not None and rows.any() and not rows.all():
            yield rows.view(pick.tensors[0].shape[:-1]), pick


def _made(reading: Reading, call: Call, target: Tensor) -> int | None:
    """The last call before that returned what is written into."""
    before = reversed(reading.watched.calls[: call.number])
    return next((each.number for each in before if any(t is target for t in each.tensors)), None)


def _by_index(call: Call) -> bool:
    """Whether it writes to places that tensors tell, and does not add to what is there."""
    if call.name in REDUCES:
        return call.kwargs.get("include_self") is False or (len(call.args) > 5 and call.args[5] is False)
    if call.name.startswith("index_put"):
        return not call.argument(3, "accumulate", False)
    if call.name == "where":
        return len(call.args) == 3 and not call.kwargs
    if call.name == "__setitem__":
        index = call.args[1] if isinstance(call.args[1], tuple) else (call.args[1],)
        return any(isinstance(part, Tensor) for part in index)
    return "reduce" not in call.kwargs and len(call.args) < 5


def _picks_kept(reading: Reading, sites: list[Site], pick: Call, target: Tensor) -> bool:
    """Whether it picks, by a choice, as many rows as the target has, of more."""
    source = pick.args[0] if pick.args else None
    if not isinstance(source, Tensor) or not source.requires_grad or len(pick.tensors) != 1:
        return False
    rows = pick.tensors[0]
    if rows.dim() < 2 or _rows(rows) != _rows(target) or _rows(rows) >= _rows(source):
        return False
    indices = [t for t in pick.read[1:] if not t.is_floating_point()]
    made = [n for t in indices if (n := reading.watched.watch.number_of(t)) is not None]
    choices = [call.number for site in sites for call in (site.choice, *site.further)]
    return any(reading.graph.depends(n, choice) for n in made for choice in choices)


def _rows(tensor: Tensor) -> int:
    return tensor.shape[:-1].numel()


def _replaced_rows(call: Call, place: int) -> Tensor | None:
    """Rows (all axes but the last) of an argument of which no channel is left: the call is made again, by itself."""
    args, named = tree_map(_detached, (list(call.args), dict(call.kwargs)))
    leaf = args[place].clone().requires_grad_()
    try:
        with torch.enable_grad():
            args[place] = leaf * 1  # which may be written into
            made = torch.where(*args) if call.name == "where" else getattr(Tensor, call.name)(*args, **named)
            result = args[place] if made is None else made
            left = torch.autograd.grad(result, leaf, torch.ones_like(result))[0]
    except Exception:  # it may be given in a way that cannot be had again
        return None
    return (left == 0).all(-1)


def _tokens(pick: Call, rows: Tensor) -> Tensor | None:
    """Which rows of what was picked from went to these rows of the result."""
    leaf = pick.args[0].detach().clone().requires_grad_()
    rest, named = tree_map(_detached, (pick.args[1:], dict(pick.kwargs)))
    try:
        with torch.enable_grad():
            result = getattr(Tensor, pick.name)(leaf, *rest, **named)
            slope = torch.autograd.grad(
                result, leaf, rows.view(result.shape[:-1]).unsqueeze(-1).expand_as(result).to(result)
            )[0]
    except Exception:
        return None
    return (slope != 0).any(-1)


def _without_scores(reading: Reading, sites: list[Site]) -> Watched | None:
    """The same pass, in which no gradient goes by the scores: what is left is what the tokens do by themselves."""
    cut = [call.number for site in sites for call in (site.score_call, site.decision_call) if call is not None]
    try:
        return reading.again({number: lambda result: tree_map(_detached, result) for number in cut})
    except Exception:
        return None


def _part(number: Tensor | None, source: Tensor) -> Tensor | None:
    """Which rows of the source have a part in a number."""
    if number is None or not number.requires_grad or not source.requires_grad:
        return None
    slope = torch.autograd.grad(number, source, retain_graph=True, allow_unused=True)[0]
    return None if slope is None else (slope != 0).any(-1)


def _sum_of(result: Tensor, rows: Tensor) -> Tensor:
    """A random combination of these rows."""
    weights = draw("normal", tuple(result.shape), 41).to(result)
    return (result * weights * rows.view(result.shape[:-1]).unsqueeze(-1)).sum()


def _detached(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value
