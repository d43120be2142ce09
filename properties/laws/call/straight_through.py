"""The two halves of a straight-through decision in the user's own call: both are of one score."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, passes_of
from sdtps_ref.properties.watching.choosing import CHOOSES, is_hard
from sdtps_ref.properties.watching.forms import SOFTENS, SUMS
from sdtps_ref.properties.watching.graph import RANDOM, SAME_NUMBERS
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call

LEAST = 6  # tokens by which a choice of one score would differ from chance
TAKES_OFF = ("sub", "__sub__", "sub_", "__isub__")
TOGETHER = 8  # scores of a token that may lie in one tensor, of which both halves are made


@law(needs="call", domain=CALL)
def hard_and_soft_are_of_one_score(probe: Probe) -> None:
    """The hard half of a straight-through decision is chosen by the score that its soft half is made of.

    Why: the gradient of the soft half says which tokens to keep. Where another score, or another modality's, chose
    them, it trains a score that decides nothing, by what others' tokens do.
    Breaks when: indices are kept by shape, so that a second modality gets the first one's, or a line is copied from
    one modality to the next and one name stays.
    Remedy: make the indices and the soft mask of one score, each time anew.
    """
    reading = passes_of(probe).reading()
    halves = [found for call in reading.watched.calls for found in _halves(reading, call)]
    if not halves:
        raise Unsupported("no sum of a hard and a soft mask was seen")
    for hard, soft in halves:
        choices = _choices(reading, hard)
        if not choices:
            continue
        what = ""
        if all(_have_nothing_in_common(reading, _operand(choice), soft) for choice in choices):
            what = "the hard half of a decision is chosen by a score that its soft half has nothing in common with"
        elif (ranked := _ranked(reading, choices, hard)) is not None and _is_at_chance(reading, ranked, hard, soft):
            what = "the hard half of a decision keeps the highest of another score: to its soft half's own it is chance"
        if what:
            raise Violation(
                what,
                where=_made(reading, hard).place,
                effect="the score that is trained does not decide what is kept",
                fix="index = score.topk(k).indices of the very score whose softmax is the soft half",
            )


@law(needs="call", domain=CALL)
def halves_cancel(probe: Probe) -> None:
    """What a straight-through decision adds with a gradient it takes off again without: `soft - soft.detach()` is zero.

    Why: two calls that draw noise give two soft masks. Their difference is not zero: D is neither 0 nor 1, kept tokens
    get weights at random, and dropped ones a share.
    Breaks when: `relaxed(score) - relaxed(score).detach()`, with the noise inside.
    Remedy: `soft = relaxed(score)`, once, and `hard + (soft - soft.detach())`.
    """
    reading = passes_of(probe).reading()
    graph, calls, number_of = reading.graph, reading.watched.calls, reading.watched.watch.number_of
    sums = [call for call in calls if call.name in TAKES_OFF and len(call.read) == 2]
    if not sums:
        raise Unsupported("no difference was seen")
    for call in sums:
        soft, copy = call.read
        made, other = number_of(soft), number_of(copy)
        if soft.shape != copy.shape or not soft.requires_grad or copy.requires_grad or made is None or other is None:
            continue
        one, two = (calls[graph.origin(n)] for n in (made, other))
        same = one.name == two.name and one.name in SOFTENS and str(one.place) == str(two.place)
        drawn = {n for n in graph.ancestors(one.number) if calls[n].name in RANDOM}
        again = {n for n in graph.ancestors(two.number) if calls[n].name in RANDOM}
        if same and one is not two and drawn - again and again - drawn:
            off = float((soft - copy).detach().abs().max())
            raise Violation(
                f"the soft mask that is added and the one that is taken off are two draws: D is off by up to {off:.2g}",
                where=call.place,
                effect="D is neither 0 nor 1 in training: kept tokens are weighted at random, dropped ones leak in",
                fix="soft = relaxed(score), once; decision = hard + (soft - soft.detach())",
            )


def _halves(reading: Reading, call: Call) -> list[tuple[Tensor, Tensor]]:
    """The hard and the soft half of a decision, where a call ends the sum of both."""
    if call.name not in SUMS or not call.tensors:
        return []
    decision = call.tensors[0]
    if not decision.is_floating_point() or not decision.requires_grad or decision.dim() < 2 or not is_hard(decision):
        return []
    leaves = _leaves(reading, call, decision.numel())
    hard = {id(t): t for t in leaves if not t.requires_grad and _is_hard(t)}
    soft = {id(t): t for t in leaves if t.requires_grad and not is_hard(t)}
    return [(*hard.values(), *soft.values())] if len(hard) == len(soft) == 1 else []  # type: ignore[list-item]


def _is_hard(tensor: Tensor) -> bool:
    if tensor.dtype == torch.bool:
        return bool(tensor.any()) and not bool(tensor.all())
    return is_hard(tensor.detach().float())


def _leaves(reading: Reading, call: Call, count: int) -> list[Tensor]:
    """What is added up, behind detached and reshaped forms."""
    found = []
    for tensor in call.read:
        made = reading.watched.watch.number_of(tensor)
        own = None if made is None else reading.watched.calls[made]
        sums = own is not None and own.number < call.number and (own.name in SUMS or own.name in SAME_NUMBERS)
        if own is not None and sums and own.read and all(t.numel() in (1, count) for t in own.read):
            found += _leaves(reading, own, count)
        elif tensor.numel() == count:
            found.append(tensor)
    return found


def _made(reading: Reading, hard: Tensor) -> Call:
    number = reading.watched.watch.number_of(hard)
    assert number is not None
    return reading.watched.calls[reading.graph.origin(number)]


def _choices(reading: Reading, hard: Tensor) -> list[Call]:
    """The choices among floating scores that a hard mask comes from; none where any of them was drawn at random."""
    number = reading.watched.watch.number_of(hard)
    behind = [] if number is None else [number, *reading.graph.ancestors(number)]
    calls = [reading.watched.calls[n] for n in behind]
    found = [c for c in calls if c.name in CHOOSES and any(t.is_floating_point() and t.numel() > 1 for t in c.read)]
    return [] if any(CHOOSES[call.name] == "sampling" for call in found) else found


def _operand(choice: Call) -> Tensor:
    return max((t for t in choice.read if t.is_floating_point()), key=lambda t: (t.numel(), t.requires_grad))


def _ranked(reading: Reading, choices: list[Call], hard: Tensor) -> Tensor | None:
    """The one score of all tokens that is ranked, where there is no other."""
    own = [c for c in choices if CHOOSES[c.name] in ("ranking", "threshold") and _operand(c).numel() == hard.numel()]
    made = {
        n if n is None else reading.graph.origin(n) for c in own for n in [reading.watched.watch.number_of(_operand(c))]
    }
    rankings = [c for c in own if CHOOSES[c.name] == "ranking"]
    return _operand(rankings[0]) if len(made) == 1 and rankings else None


def _behind(reading: Reading, tensor: Tensor) -> set[int]:
    number = reading.watched.watch.number_of(tensor)
    return set() if number is None else {number, *reading.graph.ancestors(number)}


def _have_nothing_in_common(reading: Reading, ranked: Tensor, soft: Tensor) -> bool:
    """Whether two scores are made of different things, parameters aside."""
    one, other = _given(reading, ranked), _given(reading, soft)
    if not one or not other or one & other:
        return False
    both = _behind(reading, ranked) & _behind(reading, soft)
    return not any(_says_something(reading, reading.watched.calls[n]) for n in both)


def _given(reading: Reading, tensor: Tensor) -> set[int]:
    """What a score is made of that no call returned, by id, parameters aside."""
    outside = [t for n in _behind(reading, tensor) for t in reading.watched.calls[n].outside]
    return {id(t) for t in outside if not isinstance(t, nn.Parameter) and t.numel() > 1}


def _says_something(reading: Reading, call: Call) -> bool:
    """Whether a result depends on anything that was given, and is no constant."""
    made_of = [call, *(reading.watched.calls[n] for n in reading.graph.ancestors(call.number))]
    varies = any(each.outside or each.name in RANDOM for each in made_of)
    return varies and any(t.is_floating_point() and t.numel() > 1 for t in call.tensors)


def _is_at_chance(reading: Reading, ranked: Tensor, hard: Tensor, soft: Tensor) -> bool:
    """Whether a mask (B N) is exactly the top K of one score, and in no sample better than chance for the other.

    Where both are made of one score of all tokens, or noise is in the ranking, it is a matter of degree, and none.
    """
    if ranked.dim() != 2 or hard.shape != ranked.shape or soft.shape != ranked.shape or len(ranked) < 2:
        return False
    one, calls = _behind(reading, ranked), reading.watched.calls
    if any(calls[n].name in (*RANDOM, "dropout") for n in one):
        return False
    both = [calls[n] for n in one & _behind(reading, soft)]
    scores = {each * ranked.numel() for each in range(1, TOGETHER + 1)}
    if any(t.is_floating_point() and t.numel() in scores for call in both for t in (*call.tensors, *call.outside)):
        return False
    if _given(reading, soft) < _given(reading, ranked):
        return False  # it is made of more, as where several decide together
    hits = owed = expected = spread = 0.0
    for kept, own, other in zip(hard.detach() > 0.5, soft.detach(), ranked.detach(), strict=True):
        count = int(kept.sum())
        if not 0 < count < len(kept) or other[kept].min() < other[~kept].max() or own.unique().numel() < len(own) / 2:
            return False
        chance = count * count / len(kept)
        hit = float(kept[own.topk(count).indices].sum())
        if hit > (count + chance) / 2:
            return False
        hits, owed, expected = hits + hit, owed + count, expected + chance
        spread += chance * (1 - count / len(kept)) ** 2
    return owed - expected >= LEAST and hits <= expected + 2 * spread**0.5
