"""Padding and places in the user's own call: what belongs to a token goes with it."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor, nn

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, decided, passes_of
from sdtps_ref.properties.watching.forms import SUMS
from sdtps_ref.properties.watching.record import Call
from sdtps_ref.properties.watching.roads import kept_tokens
from sdtps_ref.properties.watching.subject import Subject

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


def valid_tokens(subject: Subject) -> Tensor | None:
    """B N: which tokens are no padding, by a mask or by lengths among the arguments; None where nothing says so."""
    args, kwargs = subject.make(0)
    named = [*(("", value) for value in args), *kwargs.items()]
    widths = [value.shape[:2] for _, value in named if isinstance(value, Tensor) and value.dim() >= 2]
    for name, value in named:
        found = _of_mask(name, value) if isinstance(value, Tensor) and value.dim() == 2 else _of_lengths(value, widths)
        if found is not None:
            return found
    return None


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
