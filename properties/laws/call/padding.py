"""Padding in the user's own call: it is not kept, and what stands in it is not read."""

from __future__ import annotations

import inspect
import re
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.laws.call.reading_of import CALL, decided, passes_of
from sdtps_ref.properties.watching.record import Watched, watch
from sdtps_ref.properties.watching.roads import kept_tokens
from sdtps_ref.properties.watching.subject import Subject

ABOUT_LENGTH = re.compile(r".*(mask|pad|valid|len|count|num|size|real|present).*")
DRAWN = 4  # fillings of the padding, since a maximum may be taken elsewhere by chance
PADDING_IS_ONE = re.compile(r".*(pad|ignore).*")


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
        if lost and _is_read(*_with_other_padding(passes.subject, valid), valid):
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
    Breaks when: a mean, a maximum or a softmax is taken over padded places too, or the bias of a layer makes something
    of them.
    Remedy: `(tokens * valid.unsqueeze(-1)).sum(1) / valid.sum(1, keepdim=True)`.
    """
    passes = passes_of(probe)
    valid = valid_tokens(passes.subject)
    if valid is None:
        raise Unsupported("no mask or length that marks some tokens as padding is passed in")
    decided(probe)
    for seed in range(DRAWN):
        one, other = _with_other_padding(passes.subject, valid, seed)
        if _is_read(one, other, valid):
            raise Violation(
                "what stands in the padding changes the output",
                where=_where_read(one, other, valid),
                effect="a sample's result depends on how long the others are, and on what fills it up",
                fix="leave padded places out of every mean, maximum, softmax and ranking",
            )


def _is_read(one: Watched, other: Watched, valid: Tensor) -> bool:
    """Whether two passes that differ in their padding differ in what they return for valid tokens."""
    for a, b in zip(one.outputs, other.outputs, strict=False):
        if a.shape != b.shape or not a.numel():
            continue
        apart = (a - b).detach().abs()
        if a.shape[:2] == valid.shape:
            apart = apart[valid]  # what is returned for the padding itself is nobody's
        if apart.numel() and float(apart.max()) > 1e-4 * float(a.detach().abs().max() + 1e-6):
            return True
    return False


def _with_other_padding(subject: Subject, valid: Tensor, seed: int = 0) -> tuple[Watched, Watched]:
    """The same call in eval mode, as it is and with something else where tokens of that length are padding."""

    def changed(value: Any) -> Any:
        if not isinstance(value, Tensor) or value.shape[:2] != valid.shape or bool(((value == 0) | (value == 1)).all()):
            return value
        if value.is_floating_point():
            noise = (1 + seed) * torch.randn(value.shape, generator=torch.Generator().manual_seed(5 + seed)).to(value)
            return torch.where(valid.reshape(*valid.shape, *[1] * (value.dim() - 2)), value, value + noise)
        return torch.where(valid, value, value[valid][0]) if value.dim() == 2 else value

    args, kwargs = subject.make(0)
    other = tree_map(changed, list(args)), tree_map(changed, dict(kwargs))
    made = Subject(subject.name, subject.callable, lambda seed: other, subject.module)
    return watch(subject.run(0, training=False), 0), watch(made.run(0, training=False), 0)


def _where_read(one: Watched, other: Watched, valid: Tensor) -> SourceLine | None:
    """The first line whose result has no row for each token, and is another one."""
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
