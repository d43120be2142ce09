"""Which token a score is made of, and on which token its D acts: both read off derivatives, whatever the code does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.kit.values import draw
from sdtps_ref.properties.watching.alignment import PICKS
from sdtps_ref.properties.watching.forms import meeting_of
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call
from sdtps_ref.properties.watching.sites import Site

TRIED = 8  # kept tokens
CLEARLY = 3.0  # times as much as any other token's part
MANY = 4  # numbers by which what they have in common is told
SOURCES = 6  # tensors of tokens, the latest first, in which to look for both


@dataclass(frozen=True)
class Parted:
    """A kept token's score is made of one token, and its D acts on another.

    at: the call that mixes them up. by_score: it is the one that makes the score; else it picks the tokens.
    """

    made_of: int
    acts_on: int
    at: Call | None
    by_score: bool


def parted(reading: Reading, site: Site, weights: tuple[Tensor, Call] | None = None) -> Parted | None:
    """How the tokens that are scored and those that D acts on differ; None where they agree, or that cannot be seen.

    Of kept tokens of the first sample, those are compared of which both are clear, as rows of the last tensor of tokens
    that both come from. weights: what kept tokens are multiplied by, where there is no D, and the call that made it.
    """
    decision, call = weights or (site.decision, site.decision_call)
    if decision is None or call is None or site.time_first:
        return None
    if weights is None and decision.numel() > site.score.numel():
        return None
    try:
        meeting = _Meeting(reading, decision, call)
    except Exception:  # the code does not bear a D that is handed in
        return None
    kept = decision.detach().round() if weights is None else torch.ones_like(decision)
    positions = [p for p in kept.nonzero().tolist() if p[0] == 0]
    tried = positions[:: max(1, len(positions) // TRIED)][:TRIED]
    scores = [_driver(decision[tuple(p)], site.score) for p in tried]
    for number, tokens in _sources(reading, site, call):
        again = meeting.same(number, tokens)
        if again is None:
            continue
        made_of = _clear([None if score is None else _parts(score, tokens) for score in scores])
        for way in meeting.ways:
            pairs = list(zip(made_of, _clear([way(tuple(p), again) for p in tried]), strict=True))
            clear = [(one, other) for one, other in pairs if one is not None and other is not None]
            if len(clear) >= max(2, len(tried) // 2):
                differing = [pair for pair in clear if pair[0] != pair[1]]
                # What D acts on alike for all is a query, or a class token, through which everything goes.
                several = len({other for _, other in differing}) > len(differing) / 2
                if len(differing) < max(2, len(clear) / 3):
                    return None
                if not several:
                    continue
                places = [(other, p[-1]) for (_, other), p in zip(pairs, tried, strict=True) if other is not None]
                own = decision.dim() >= 2 and tokens.shape[1] == decision.shape[-1]
                by_score = own and all(other == place for other, place in places)
                at = site.score_call if by_score else _picking(reading, meeting, call)
                return Parted(*differing[0], at, by_score)
    return None


def _picking(reading: Reading, meeting: _Meeting, decision: Call) -> Call | None:
    """The last call before D meets them that picks tokens."""
    last = len(reading.watched.calls) if meeting.number is None else meeting.number
    for call in reversed(reading.watched.calls[:last]):
        indices = any(not t.is_floating_point() and t.dim() > 0 for t in call.read)
        if call.name not in PICKS or not indices or reading.graph.depends(call.number, decision.number):
            continue
        if call.tensors and call.tensors[0].dim() >= 3 and call.tensors[0].requires_grad:
            return call
    return None


class _Meeting:
    """The same pass with D handed in, and where it meets something else first: a product, a sum, or the output."""

    def __init__(self, reading: Reading, decision: Tensor, call: Call):
        given = decision.detach().clone().requires_grad_()
        watched = reading.again({call.number: lambda result: _with(result, given)})
        self._calls = watched.calls
        if [each.name for each in self._calls] != [each.name for each in reading.watched.calls]:
            raise ValueError("another path is taken")
        met = meeting_of(reading, call)
        self.number = None if met is None else met.number
        result = None if met is None else self._calls[met.number].tensors[0]
        loss = reading.loss(watched)
        first = None if result is None else (result * draw("normal", tuple(result.shape), 31).to(result)).sum()
        slopes = [_again(outcome, given) for outcome in (loss, first) if outcome is not None]
        slopes = [slope for slope in slopes if slope is not None and slope.requires_grad]
        self.ways: list[Callable[[tuple[int, ...], Tensor], Tensor | None]] = [
            lambda p, tokens, slope=slope: _parts(slope[p], tokens)  # type: ignore[misc]
            for slope in slopes
        ]
        self._other = self._spread = None
        if met is not None and result is not None:
            others = [t for t in self._calls[met.number].read if t.requires_grad and t is not given]
            others = [t for t in others if not _reaches(t, given) and _fits(t, result)]
            if others:
                self._other = others[0].expand_as(result)
                self._probe = torch.zeros_like(result).requires_grad_()
                self._spread = _again(result, given, self._probe)
                self.ways.append(self._added_to)

    def same(self, number: int, tokens: Tensor) -> Tensor | None:
        """These tokens in the pass with D handed in."""
        return next((t for t in self._calls[number].tensors if t.shape == tokens.shape and t.requires_grad), None)

    def _added_to(self, position: tuple[int, ...], tokens: Tensor) -> Tensor | None:
        """The token of what D[position] is brought together with, as where it is added to a logit."""
        if self._other is None or self._spread is None or not self._spread.requires_grad:
            return None
        reached = torch.autograd.grad(self._spread[position], self._probe, retain_graph=True, allow_unused=True)[0]
        return None if reached is None else _parts((self._other * (reached != 0)).sum(), tokens)


def _with(result: Any, given: Tensor) -> Any:
    """What a call returned, with `given` in place of its numbers, as beside the indices of a topk."""
    if isinstance(result, Tensor):
        return given
    return type(result)([given if isinstance(part, Tensor) and part.dtype == given.dtype else part for part in result])


def _again(result: Tensor, source: Tensor, cotangent: Tensor | None = None) -> Tensor | None:
    """The gradient, to be differentiated again; None where that cannot be had."""
    try:
        return torch.autograd.grad(result, source, cotangent, create_graph=True, allow_unused=True)[0]
    except (RuntimeError, NotImplementedError):
        return None


def _reaches(tensor: Tensor, source: Tensor) -> bool:
    return _again(tensor.sum(), source) is not None


def _fits(tensor: Tensor, result: Tensor) -> bool:
    try:
        return torch.broadcast_shapes(tensor.shape, result.shape) == result.shape
    except RuntimeError:
        return False


def _sources(reading: Reading, site: Site, decision: Call) -> list[tuple[int, Tensor]]:
    """Tensors of tokens (B N C) that the score comes from, with the numbers of their calls, the latest first."""
    first = decision.number if site.score_call is None else site.score_call.number
    batch = site.score.shape[0]
    found = [
        (number, tensor)
        for number in reading.graph.ancestors(first)
        for tensor in reading.watched.calls[number].tensors
        if tensor.dim() == 3 and tensor.requires_grad and tensor.shape[0] == batch and tensor.shape[1] > 2
    ]
    return found[:: max(1, len(found) // SOURCES)][:SOURCES] + found[-1:]


def _driver(entry: Tensor, score: Tensor) -> Tensor | None:
    """The score that an entry of D follows most: its own, also where D lies in the order of the ranking."""
    found = torch.autograd.grad(entry, score, retain_graph=True, allow_unused=True)[0]
    if found is None or not (found[0] > 0).any():
        return None
    return score[0].flatten()[found[0].argmax()]


def _parts(number: Tensor, tokens: Tensor) -> Tensor | None:
    """How much a number depends on each token of the first sample."""
    try:
        found = torch.autograd.grad(number, tokens, retain_graph=True, allow_unused=True)[0]
    except (RuntimeError, NotImplementedError):  # an operation whose gradient has no gradient
        return None
    return None if found is None else found[0].detach().double().norm(dim=-1)


def _clear(parts: list[Tensor | None]) -> list[int | None]:
    """The token that each number depends on; None where there is not one clearly before all others.

    A token that most of them depend on, as on a class token, is nobody's own, and is left out.
    """
    known = [part for part in parts if part is not None]
    if not known:
        return [None] * len(parts)
    large = torch.stack([part > part.amax() / CLEARLY for part in known]).double().mean(0) > 0.5
    found: list[int | None] = []
    for part in parts:
        own = None if part is None else part.masked_fill(large, 0) if len(known) >= MANY else part
        first, second = (0.0, 0.0) if own is None else own.topk(2).values.tolist()
        found.append(int(own.argmax()) if own is not None and first > CLEARLY * second else None)
    return found
