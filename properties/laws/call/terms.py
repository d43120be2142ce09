"""What the user's own call adds up to a score: different terms, each with a part in it."""

from __future__ import annotations

import torch

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, learned, passes_of
from sdtps_ref.properties.watching.forms import PRODUCTS, SUMS
from sdtps_ref.properties.watching.graph import SAME_NUMBERS
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call, tensors_in, watch
from sdtps_ref.properties.watching.subject import Subject
from sdtps_ref.properties.watching.winning import won_by

STEPS = 3  # of training


@law(needs="call", domain=CALL)
def terms_of_the_score_differ(probe: Probe) -> None:
    """No two terms that are added up to the score are the same numbers.

    Why: one of them was meant to be something else: a second text, another modality. That never has a part in what is
    kept, and the first one counts twice.
    Breaks when: a line is copied and its argument is not changed: `dense = relevance(tokens, sparse_text)`.
    Remedy: make each term of its own source.
    """
    reading, sites = learned(probe)
    for call in (call for site in sites for call in reading.behind_score(site)):
        copied = _copied(reading, call)
        if copied is not None:
            raise Violation(
                "two terms that are added up to the score are the same numbers",
                where=copied.place_beside(call),
                effect="what one of them was meant to be has no part in what is kept, and the other counts twice",
                fix="make each term of its own source",
            )


def _copied(reading: Reading, call: Call) -> Call | None:
    """The call that makes one of two numbers which are added up, where another one made the same."""
    if call.name not in SUMS or "sub" in call.name or len(call.read) != 2:
        return None
    one, other = (t.detach() for t in call.read)
    if one.shape != other.shape or one.numel() < 3 or not torch.equal(one, other) or one.unique().numel() < 3:
        return None
    made = [reading.watched.calls[n] for t in call.read if (n := reading.watched.watch.number_of(t)) is not None]
    if len(made) < 2 or _source(reading, made[0]) is _source(reading, made[1]):
        return None  # one thing, as it is and detached
    # What an earlier call left behind, of the same input, is made of nothing that could be trained.
    trained = all(reading.upstream(each, tensor) for each, tensor in zip(made, call.read, strict=True))
    return made[1] if trained else None


def _source(reading: Reading, call: Call) -> Call:
    """The call that made these numbers, behind detached, reshaped and scaled forms of them."""
    while call.inputs and (call.name in SAME_NUMBERS or (call.name in PRODUCTS and len(call.read) == 1)):
        call = reading.watched.calls[call.inputs[0]]
    return call


@law(needs="call", level="SHOULD", depends="call.gradient_reaches_score", domain=CALL)
def every_term_of_the_score_counts(probe: Probe) -> None:
    """No term that is learned for the score is multiplied by zero on its way to it.

    Why: a weight that comes out as zero, as 1 - 2 beta does at beta = 0.5, leaves a network that runs, has gradients of
    exactly zero, and decides nothing.
    Breaks when: a balance between several terms leaves nothing for one of them. A weight that a schedule raises later,
    from outside, looks the same.
    Remedy: other weights, or leave the network out.
    """
    passes = passes_of(probe)
    module = passes.subject.module
    if module is None:
        raise Unsupported("a function has no parameters")
    reading, sites = learned(probe)
    for site in sites:
        for call in reading.behind_score(site):
            if not _is_times_zero(call) or not call.read[0].requires_grad:
                continue
            made = reading.watched.watch.number_of(call.read[0])
            own = passes.names(reading.upstream(None if made is None else reading.watched.calls[made], call.read[0]))
            named = dict(module.named_parameters())
            lost = [name for name in own if reading.size(named[name]) == 0]
            if lost and _stays_zero(passes.subject, call):
                raise Violation(
                    f"a term of the score is multiplied by 0: {lost[0]} "
                    + (f"and {len(lost) - 1} more decide nothing" if len(lost) > 1 else "decides nothing"),
                    where=call.place,
                    effect="its gradient is exactly zero: it is never trained",
                    fix="weights of which none is zero, or leave that term out",
                )


def _is_times_zero(call: Call) -> bool:
    return call.name in PRODUCTS and [part for part in call.args if type(part) in (int, float)] == [0]


def _stays_zero(subject: Subject, call: Call) -> bool:
    """Whether that product is one with zero after some steps of training too, which raise what counts them."""
    other = subject.copy()
    if other is None:
        return True
    for step in range(STEPS):
        watched = watch(other.run(step, going_on=True), step)
    return call.number < len(watched.calls) and _is_times_zero(watched.calls[call.number])


@law(needs="call", domain=CALL)
def masked_entries_do_not_win(probe: Probe) -> None:
    """A minimum or maximum over masked numbers is not taken by what is masked.

    Why: a constant stands where nothing is meant to be: 0, where a mask multiplies or fills with it. 0 is less than
    every distance and more than every negative score, as minus a distance is. The result is that constant whatever the
    numbers are, and has no gradient.
    Breaks when: `(distance * (1 - same)).min(1)` is to be the hardest negative, or `(-distance).masked_fill(same, 0)`,
    `torch.where(same, 0, -distance)`, `likeness[same] = 0` with `.max(1)`.
    Remedy: `distance.masked_fill(same, float("inf")).min(1)`, `likeness.masked_fill(same, float("-inf")).max(1)`.
    """
    passes = passes_of(probe)
    reading = passes.reading()
    returned = [n for t in tensors_in(reading.watched.output) if (n := reading.watched.watch.number_of(t)) is not None]
    for call in reading.watched.calls:
        value = won_by(reading, call)
        if value is None or not any(reading.graph.depends(last, call.number) for last in returned):
            continue
        again = [passes.reading(seed) for seed in (1, 2)]  # for these inputs alone it may be so by chance
        same = [other.watched.calls[call.number : call.number + 1] for other in again]
        if all(
            won_by(other, *calls) is not None for other, calls in zip(again, same, strict=True) if _alike(call, calls)
        ):
            raise Violation(
                f"the {call.name} is taken by masked entries, which are {value:g} here, whatever the others are",
                where=call.place,
                effect=f"it is {value:g} for every sample, and no gradient comes of it",
                fix='x.masked_fill(mask, float("inf")) before a minimum, float("-inf") before a maximum',
            )


def _alike(call: Call, others: list[Call]) -> bool:
    return any(other.name == call.name and other.place == call.place for other in others)
