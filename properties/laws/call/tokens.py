"""Padding and places in the user's own call: what belongs to a token goes with it."""

from __future__ import annotations

import inspect
import re
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.laws.call.reading_of import CALL, decided, passes_of
from sdtps_ref.properties.watching.forms import SUMS
from sdtps_ref.properties.watching.record import Call, Watched, watch
from sdtps_ref.properties.watching.roads import kept_tokens
from sdtps_ref.properties.watching.subject import Subject

ABOUT_LENGTH = re.compile(r".*(mask|pad|valid|len|count|num|size|real|present).*")
PADDING_IS_ONE = re.compile(r".*(pad|ignore).*")
MORE = 2  # tokens besides, as of a class


@law(needs="call", depends="call.decision_is_hard", domain=CALL)
def padding_is_not_kept(probe: Probe) -> None:
    """No token of padding is kept while a token of the sample is dropped.

    Why: padding that takes a place drops a word, and makes the result depend on how long the longest sample of the
    batch is.
    Breaks when: the scores of padding are multiplied by 0, which is above every negative score; or the mask is taken
    into account in the soft mask alone.
    Remedy: `score.masked_fill(~valid, float("-inf"))` before the ranking.
    """
    passes = passes_of(probe)
    valid = valid_tokens(passes.subject)
    if valid is None:
        raise Unsupported("no mask or length that marks some tokens as padding is passed in")
    reading, sites = decided(probe)
    for site in sites:
        kept = site.decision.detach() > 0.5  # type: ignore[union-attr]
        if kept.shape != valid.shape:
            found = kept_tokens(reading, site)
            if found is None or found.shape != valid.shape:
                continue
            kept = found
        if not _padding_is_read(passes.subject, valid):
            return
        lost = ((kept & ~valid).any(-1) & (~kept & valid).any(-1)).nonzero().flatten().tolist()
        if lost:
            padding = int((kept & ~valid)[lost[0]].sum())
            raise Violation(
                f"padding is kept: {padding} of the {int(kept[lost[0]].sum())} tokens that sample {lost[0]} keeps are "
                "padding, while tokens of its own are dropped",
                where=site.place,
                effect="places go to padding, and the result depends on how long the other samples are",
                fix='score = score.masked_fill(~valid, float("-inf")), before the ranking',
            )


@law(needs="call", depends="call.padding_is_not_kept", domain=CALL)
def padding_is_not_read(probe: Probe) -> None:
    """What stands in the padding changes no output.

    Why: padding that is read makes a sample's result depend on how long the others are, and on what fills them up.
    Breaks when: a mean or a softmax is taken over padded places too, or the bias of a layer makes something of them.
    Remedy: `(tokens * valid.unsqueeze(-1)).sum(1) / valid.sum(1, keepdim=True)`.
    """
    passes = passes_of(probe)
    valid = valid_tokens(passes.subject)
    if valid is None:
        raise Unsupported("no mask or length that marks some tokens as padding is passed in")
    decided(probe)
    if _padding_is_read(passes.subject, valid):
        raise Violation(
            "what stands in the padding changes the output",
            where=_where_read(passes.subject, valid),
            effect="a sample's result depends on how long the others are, and on what fills it up",
            fix="leave padded places out of every mean, softmax and ranking",
        )


def _padding_is_read(subject: Subject, valid: Tensor) -> bool:
    one, other = _with_other_padding(subject, valid)
    for a, b in zip(one.outputs, other.outputs, strict=False):
        if a.shape != b.shape or not a.numel():
            continue
        apart = (a - b).detach().abs()
        if a.shape[:2] == valid.shape:
            apart = apart[valid]  # what is returned for the padding itself is nobody's
        if apart.numel() and float(apart.max()) > 1e-4 * float(a.detach().abs().max() + 1e-6):
            return True
    return False


def _with_other_padding(subject: Subject, valid: Tensor) -> tuple[Watched, Watched]:
    """The same call in eval mode, as it is and with something else where tokens of that length are padding."""

    def changed(value: Any) -> Any:
        if not isinstance(value, Tensor) or value.shape[:2] != valid.shape or bool(((value == 0) | (value == 1)).all()):
            return value
        if value.is_floating_point():
            noise = torch.randn(value.shape, generator=torch.Generator().manual_seed(5)).to(value)
            return torch.where(valid.reshape(*valid.shape, *[1] * (value.dim() - 2)), value, value + noise)
        return torch.where(valid, value, value[valid][0]) if value.dim() == 2 else value

    args, kwargs = subject.make(0)
    other = tree_map(changed, list(args)), tree_map(changed, dict(kwargs))
    made = Subject(subject.name, subject.callable, lambda seed: other, subject.module)
    return watch(subject.run(0, training=False), 0), watch(made.run(0, training=False), 0)


def _where_read(subject: Subject, valid: Tensor) -> SourceLine | None:
    """The first line whose result has no row for each token, and is another one."""
    one, other = _with_other_padding(subject, valid)
    for call, same in zip(one.calls, other.calls, strict=False):
        for a, b in zip(call.tensors, same.tensors, strict=False):
            wide = a.dim() > 1 and valid.shape[1] in a.shape[1:]
            if a.is_floating_point() and not wide and a.shape == b.shape and not torch.allclose(a, b, atol=1e-5):
                return call.place
    return None


def valid_tokens(subject: Subject) -> Tensor | None:
    """B N: which tokens are no padding, by a mask or by lengths among the arguments; None where nothing says so."""
    args, kwargs = subject.make(0)
    named = [*zip(_names(subject, len(args)), args, strict=True), *kwargs.items()]
    widths = [value.shape[:2] for _, value in named if isinstance(value, Tensor) and value.dim() >= 2]
    for name, value in named:
        if name and not ABOUT_LENGTH.fullmatch(name.lower()):
            continue
        found = _of_mask(name, value) if isinstance(value, Tensor) and value.dim() == 2 else _of_lengths(value, widths)
        if found is not None:
            return found
    return None


def _names(subject: Subject, count: int) -> list[str]:
    """What the call's positional arguments are called; empty where that is not known."""
    called = subject.module.forward if subject.module is not None else subject.callable
    try:
        names = [p.name for p in inspect.signature(called).parameters.values() if p.kind in (p.POSITIONAL_OR_KEYWORD,)]
    except (TypeError, ValueError):
        names = []
    return (names + [""] * count)[:count]


def _of_mask(name: str, value: Tensor) -> Tensor | None:
    """Of zeros and ones whose rows change at most once, from valid tokens to padding or the other way round."""
    if not bool(((value == 0) | (value == 1)).all()) or value.unique().numel() != 2 or value.shape[1] < 3:
        return None
    ones = value == 1
    changes = (ones[:, 1:] != ones[:, :-1]).sum(-1)
    whole = ones[changes == 0]
    if int(changes.max()) != 1:
        return None
    if PADDING_IS_ONE.fullmatch(name.lower()):
        return ~ones
    if len(whole) and bool(whole.all()):
        return ones  # the longest sample is valid throughout
    if len(whole) and not bool(whole.any()):
        return ~ones
    return ones if float(ones.float().mean()) > 0.5 else None


def _of_lengths(value: Any, widths: list[torch.Size]) -> Tensor | None:
    if isinstance(value, Tensor) and value.dim() == 1 and not value.is_floating_point() and value.dtype != torch.bool:
        value = value.tolist()
    if not isinstance(value, (list, tuple)) or not value or not all(type(part) is int for part in value):
        return None
    for batch, tokens in widths:
        if batch == len(value) > 1 and max(value) == tokens > min(value) > 0:
            return torch.arange(tokens)[None] < torch.tensor(value)[:, None]
    return None


@law(needs="call", domain=CALL)
def places_are_of_the_kept(probe: Probe) -> None:
    """What is learned for each place is picked by the indices of the kept tokens, or added before they are picked.

    Why: the first K of N places belong to the first K tokens. Given to the K that are kept, a token's place says how
    many of the kept ones come before it, and where it was is lost.
    Breaks when: `tokens + places[:, :K]` comes after the selection.
    Remedy: add the places first, or `places.expand(B, -1, -1).gather(1, index)`.
    """
    reading, sites = decided(probe)
    for site in sites:
        for number in reading.graph.descendants(site.choice.number):
            call = reading.watched.calls[number]
            parts = {reading.watched.watch.number_of(t) for t in call.read} - {None}
            cut = next(
                (reading.watched.calls[n] for n in parts if n is not None and _cuts(reading.watched.calls[n])), None
            )
            if call.name not in SUMS or cut is None or not call.tensors:
                continue
            places, kept, tokens = cut.read[0].shape[-2], cut.tensors[0].shape[-2], site.ranked.shape[-1]
            more = places - tokens
            if 0 <= more <= MORE and kept < places and 0 <= kept - _count(site.decision) <= MORE:  # type: ignore[arg-type]
                raise Violation(
                    f"the first {kept} of {places} learned places are added to the kept tokens, whichever they are",
                    where=call.place,
                    effect="where a token was is lost: its place says how many of the kept ones come before it",
                    fix="add the places before the selection, or pick them by the same indices",
                )


def _cuts(call: Call) -> bool:
    """Whether it takes the first of the places that a parameter holds (1 N C or N C)."""
    source = call.read[0] if call.read else None
    if call.name not in ("__getitem__", "narrow") or not isinstance(source, nn.Parameter) or source.dim() not in (2, 3):
        return False
    return len(call.read) == 1 and call.tensors[0].dim() == source.dim()


def _count(decision: Tensor) -> int:
    return int((decision.detach()[0] > 0.5).sum())


@law(needs="call", domain=CALL)
def tokens_are_picked_whole(probe: Probe) -> None:
    """Kept tokens are picked with all their channels, and an order is undone by its inverse.

    Why: `gather` takes as many channels as the index has. With an index B K 1 it takes channel 0 of every token, which
    is then broadcast without a word. And an order that is applied to what it has ordered scrambles it once more.
    Breaks when: `expand(-1, -1, C)` is forgotten, or tokens are put back by `order` and not by `order.argsort()`.
    Remedy: `index.unsqueeze(-1).expand(-1, -1, C)`; `ordered.gather(1, order.argsort(1))`.
    """
    reading, sites = decided(probe)
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
                held = {frame for site in sites for frame, _ in site.choice.stack}
                raise Violation(
                    "what was put in an order is put in that order once more, where it should be put back",
                    where=next((place for frame, place in call.stack if frame in held), call.place),
                    effect="the tokens that are returned are in no order: those of other places stand in theirs",
                    fix="ordered.gather(1, order.argsort(1)) puts tokens back",
                )
        if order.shape == source.shape[:2] and _is_permutation(order):
            orders.append((order, call))


def _is_permutation(order: Tensor) -> bool:
    """Of every row, other than the one that leaves all in place."""
    places = torch.arange(order.shape[-1], device=order.device).expand_as(order)
    own_inverse = torch.equal(order.gather(-1, order), places)
    return torch.equal(order.sort(-1).values, places) and not own_inverse
