"""Losses within the user's own call that go through the samples: each sample meets its own numbers."""

from __future__ import annotations

from torch import Tensor

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, passes_of
from sdtps_ref.properties.watching.forms import PRODUCTS, SUMS
from sdtps_ref.properties.watching.graph import SAME_NUMBERS
from sdtps_ref.properties.watching.passes import samples_of, some_of
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call, Watched

LOSSES = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy", "poisson_nll_loss",
          "binary_cross_entropy_with_logits", "soft_margin_loss")  # fmt: skip
DISTANCES = ("pow", "__pow__", "square", "abs", "__abs__")
QUOTIENTS = ("div", "__truediv__", "true_divide", "div_")
REDUCES = ("mean", "sum")
MOST = 16  # terms that a loss is put together of
ON = (*SAME_NUMBERS, *SUMS, *PRODUCTS, *QUOTIENTS, "neg", "__neg__", "negative", "minimum", "min", "clamp", "stack")
HEADS = ("linear", "sigmoid", "tanh", "softplus", "relu", "addmm", "logsigmoid")


@law(needs="call", domain=CALL)
def losses_are_not_crossed(probe: Probe) -> None:
    """In a loss, each sample's number meets that sample's other number, and no other sample's.

    Why: numbers (B, 1) and (B,) broadcast to B x B: every sample meets every sample. Averaged over all of it, a product
    is the product of the two means, so which advantage belongs to which choice is lost; a distance draws every
    prediction towards the mean of all targets.
    Breaks when: the last axis of `linear(x)` (B, 1), or of what is gathered or summed with keepdim, meets a reward,
    advantage or target (B,).
    Remedy: `log_prob.squeeze(-1) * advantage`, or `.view_as(...)`.
    """
    passes = passes_of(probe)
    reading = passes.reading()
    found = [call for call in reading.watched.calls if _crosses(reading, call)]
    found = [call for call in found if _is_averaged(reading, call)]
    if not found:
        return
    batch = samples_of(passes.subject, 0)
    small = some_of(passes.subject, True, 0, batch - 1) if batch > 1 else None
    for call in found:
        pair = _pair(call)
        count = 0 if pair is None else len(pair[1])
        if small is None or not _of_samples(_same_line(small, call), count):
            continue
        raise Violation(
            f"({count}, 1) and ({count},) meet as {count} x {count} in {_told(call)}: every sample meets the numbers "
            "of all others",
            where=call.place,
            effect="averaged over all pairs, nothing is left of which number belongs to which sample",
            fix="one shape for both: x.squeeze(-1) where it is (B, 1), before they meet",
        )


def _same_line(watched: Watched, call: Call) -> list[Call]:
    """The calls of another pass that stand where this one does."""
    return [other for other in watched.calls if other.name == call.name and other.place == call.place]


def _told(call: Call) -> str:
    return call.name if call.name in LOSSES else "a product" if call.name in PRODUCTS else "a difference"


def _pair(call: Call) -> tuple[Tensor, Tensor] | None:
    """The two that meet, of shapes (B, 1) and (B,)."""
    given = [t for t in call.read if t.is_floating_point()][:2]
    if len(given) != 2 or call.place is None:
        return None
    one, other = sorted(given, key=lambda t: -t.dim())
    return (one, other) if one.dim() == 2 and other.dim() == 1 and one.shape == (len(other), 1) else None


def _of_samples(calls: list[Call], count: int) -> bool:
    """Whether a pass of one sample less has one number less on both sides."""
    pairs = [pair for call in calls if (pair := _pair(call)) is not None]
    return bool(pairs) and all(len(other) == count - 1 for _, other in pairs)


def _crosses(reading: Reading, call: Call) -> bool:
    """Whether it is a product, difference or loss of (B, 1) and (B,), not made to be one of all pairs."""
    if call.name not in (*PRODUCTS, *LOSSES, *SUMS):
        return False
    pair = _pair(call)
    if pair is None or len(pair[1]) < 2 or not any(t.requires_grad for t in pair):
        return False
    made = [reading.watched.watch.number_of(t) for t in pair]
    origins = [None if n is None else reading.graph.origin(n) for n in made]
    if origins[0] == origins[1] and origins[0] is not None:
        return False  # all pairs of one thing
    if call.name in SUMS:
        return _is_a_head(reading, made[0]) and "sub" in call.name and not _is_behind(reading, origins[0], made[1])
    return True


def _is_a_head(reading: Reading, number: int | None) -> bool:
    """Whether (B, 1) is so as a layer made it, and was not given its second axis to meet all others."""
    if number is None:
        return False
    call = reading.watched.calls[number]
    return call.name in HEADS and bool(call.tensors) and call.tensors[0].dim() == 2


def _is_behind(reading: Reading, earlier: int | None, later: int | None) -> bool:
    return earlier is not None and later is not None and reading.graph.depends(later, earlier)


def _is_averaged(reading: Reading, call: Call) -> bool:
    """Whether all pairs are averaged or summed up, and are used in no other way, into a term of what is returned."""
    if call.name in LOSSES and call.kwargs.get("reduction") != "none":
        return _is_term(reading, call)
    if call.name in SUMS:
        users = _users(reading, call)
        return bool(users) and all(each.name in DISTANCES and _is_reduced(reading, each) for each in users)
    return _is_reduced(reading, call)


def _users(reading: Reading, call: Call) -> list[Call]:
    return [
        later
        for n in reading.graph.descendants(call.number)
        if call.number in (later := reading.watched.calls[n]).inputs
    ]


def _is_reduced(reading: Reading, call: Call) -> bool:
    """Whether every use of these pairs ends in a sum or mean over all of them, and one such in a term of the loss."""
    waiting, seen, ended = [call], {call.number}, False
    while waiting:
        at = waiting.pop()
        for later in _users(reading, at):
            if later.number in seen or not later.tensors:
                continue
            seen.add(later.number)
            shrinks = later.tensors[0].numel() < at.tensors[0].numel()
            if shrinks and later.name in REDUCES and later.tensors[0].numel() == 1:
                ended = ended or _is_term(reading, later)
            elif (shrinks and later.name in REDUCES) or (later.name in ON and not shrinks):
                if not _meets_rows(reading, later, seen):
                    return False
                waiting.append(later)
            else:
                return False
    return ended


def _meets_rows(reading: Reading, later: Call, seen: set[int]) -> bool:
    """Whether what the pairs meet there are numbers, one a sample, or pairs that were crossed as well."""
    for tensor in later.read:
        made = reading.watched.watch.number_of(tensor)
        if made in seen or tensor.dim() < 2 or 1 in tensor.shape:
            continue
        if made is None or not any(
            _crosses(reading, reading.watched.calls[n]) for n in (made, *_one_by_one(reading, made))
        ):
            return False
    return True


def _one_by_one(reading: Reading, number: int) -> list[int]:
    """The calls behind a result that its shape comes from, the last one first."""
    found: list[int] = []
    while reading.watched.calls[number].name in ON and reading.watched.calls[number].inputs:
        number = reading.watched.calls[number].inputs[0]
        found.append(number)
    return found


def _is_term(reading: Reading, call: Call) -> bool:
    """Whether a single number is returned, or added to what is; one that others are divided by is not."""
    waiting, seen = [call], {call.number}
    while waiting:
        at = waiting.pop()
        if any(t is output for t in at.tensors for output in reading.watched.outputs):
            return True
        for later in _users(reading, at):
            divides = later.name in QUOTIENTS and any(later.args[1] is t for t in at.tensors)
            if later.number not in seen and not divides and later.name in (*ON, *REDUCES) and later.tensors:
                seen.add(later.number)
                if later.tensors[0].numel() <= MOST:
                    waiting.append(later)
    return False
