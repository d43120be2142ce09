"""Where a schedule ends that the user's own module counts by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.kit.values import draw
from sdtps_ref.properties.laws.call.reading_of import CALL, passes_of
from sdtps_ref.properties.watching.counting import (
    Counter,
    counters_of,
    last_place_of,
    lengths_of,
    let_them_be_late,
    numbers_of,
    restored,
)
from sdtps_ref.properties.watching.reading import Reading, read
from sdtps_ref.properties.watching.record import Call, Watched
from sdtps_ref.properties.watching.scaling import number_of, same_call, scales
from sdtps_ref.properties.watching.sites import Site
from sdtps_ref.properties.watching.stepping import next_call
from sdtps_ref.properties.watching.subject import Subject

SEEDS = 6  # calls late in training
DEAD = 1e-6  # of the gradient at first
FAR = 10.0  # times, by which what divides has fallen, or what multiplies has grown
FLOOR, CEILING = 1e-3, 1e3  # what divides or multiplies may end at, where it ends
LAST = 5e-3  # what divides may be at the end of a training whose length is known


@dataclass(frozen=True)
class Found:
    """What was found in a pass: the number, the size of D's gradient behind it, and the call that scales by it."""

    value: float
    slope: float
    at: Call


@dataclass(eq=False)
class Scaled:
    """A number that divides or multiplies what a site's choice is trained by, in early passes and in late ones."""

    site: Site
    call: Call
    divides: bool
    first: float
    early: list[Found] = field(default_factory=list)
    late: list[Found] = field(default_factory=list)

    @property
    def last(self) -> float:
        """The number where it has gone furthest."""
        values = [found.value for found in self.late]
        return min(values, key=abs) if self.divides else max(values, key=abs)

    @property
    def at_first(self) -> float:
        """The size of D's gradient in the early passes, 0 where there is none."""
        return max((found.slope for found in self.early if math.isfinite(found.slope)), default=0.0)

    @property
    def is_turned(self) -> bool:
        """Whether it divides, and is negative where it was not."""
        return self.divides and self.last * self.first < 0

    @property
    def has_gone(self) -> bool:
        """Whether it went far the way that takes a gradient away, without an end that it was given."""
        last = abs(self.last)
        if self.is_turned or not all(math.isfinite(found.value) for found in self.late):
            return True
        stands = len({found.value for found in self.late}) == 1
        ended = stands and (last >= FLOOR if self.divides else last <= CEILING)
        far = last * FAR < abs(self.first) if self.divides else last > FAR * abs(self.first)
        return far and not ended


@law(needs="call", depends="call.gradient_reaches_score", domain=CALL)
def schedules_end_well(probe: Probe) -> None:
    """Late in training, when the module's own counter stands high, the choice is still made and its score still learns.

    Why: a temperature that goes on falling is 0 some day. The soft mask is then as hard as D, its gradient is exactly
    zero, and at 0 itself everything is NaN; below 0 the score is trained backwards. It shows after hours, not at first.
    Breaks when: `min(tau_end, ...)` stands where `max` is meant, nothing bounds `tau0 * decay ** step` or
    `1 - step / total`, or what is counted in epochs is counted up in every call.
    Remedy: `tau = max(tau_end, tau_start * decay ** step)`.
    """
    subject = passes_of(probe).subject.fresh()
    if subject is None or subject.module is None:
        raise Unsupported("the module cannot be copied")
    with restored(numbers_of(subject.module)):
        first = read(subject.run(0, going_on=True), 0)
        sites = [site for site in first.sites if site.decision is not None and site.decision_call is not None]
        if not sites:
            raise Unsupported("no decision that carries a gradient was seen")
        scaled = [
            Scaled(site, call, divides, value)
            for site in sites
            for call, value, divides in scales(first.watched, first.graph, site.decision_call)  # type: ignore[arg-type]
        ]
        early, late = [first.watched], []
        for each in scaled:
            _follow(first, each, first.watched, each.early)

        def seen_too(watched: Watched) -> None:
            early.append(watched)
            for each in scaled:
                _follow(first, each, watched, each.early)

        counters = counters_of(subject, seen_too)
        if not counters:
            raise Unsupported("no counter goes on with every call of training")
        try:
            if not let_them_be_late(subject, counters, SEEDS):
                raise Unsupported("too many numbers stop by themselves")
            for seed in range(SEEDS):
                late.append(next_call(subject, seed))
                for each in scaled:
                    _follow(first, each, late[-1], each.late)
        except Unsupported:
            raise
        except Exception as error:  # it may say that a training is over
            raise Unsupported("late in training the call raises") from error
        for site in sites:
            _expect_a_choice(subject, first, site, early, late, counters)
        for each in scaled:
            _expect_to_learn(subject, each, counters)
        _expect_numbers(subject, early, late, counters)


def _follow(first: Reading, scaled: Scaled, watched: Watched, into: list[Found]) -> None:
    """Look up the number in a pass, and the gradient that D hands back to what it scales; nothing where there is no
    way."""
    site = scaled.site
    there, made = (same_call(first.watched, call, watched) for call in (scaled.call, site.decision_call))  # type: ignore[arg-type]
    found = None if there is None else number_of(there)
    if there is None or made is None or found is None:
        return
    place = next((i for i, t in enumerate(site.decision_call.tensors) if t is site.decision), 0)  # type: ignore[union-attr]
    decision, operand = made.tensors[place], there.read[found[0]]
    if not decision.requires_grad:
        return
    cotangent = draw("normal", tuple(decision.shape), 7).to(decision)
    slope = torch.autograd.grad(decision, operand, cotangent, retain_graph=True, allow_unused=True)[0]
    if slope is not None:
        into.append(Found(found[1], float(torch.linalg.vector_norm(slope.detach(), dtype=torch.float64)), there))


def _expect_to_learn(subject: Subject, scaled: Scaled, counters: list[Counter]) -> None:
    if len(scaled.late) < SEEDS or scaled.at_first == 0 or not scaled.has_gone:
        return
    last, most = scaled.last, max(found.slope for found in scaled.late)
    broken = any(not math.isfinite(found.slope) for found in scaled.late)
    whole = lengths_of(subject.module)[0]  # type: ignore[arg-type]
    if whole is not None and not broken and not scaled.is_turned and abs(last) >= LAST:
        return  # where a training of known length ends
    if broken:
        said, effect = "D's gradient is NaN", "late in training the choice is NaN"
    elif scaled.is_turned:
        said, effect = "the score is trained backwards", "late in training the choice goes the wrong way"
    elif most <= DEAD * scaled.at_first:
        left = f"{most / scaled.at_first:.1g} of what it was" if most else "exactly zero"
        said, effect = f"D's gradient is {left}", "late in training the choice is no longer trained"
    else:
        return
    what = "what divides the score" if scaled.divides else "what multiplies the score"
    raise Violation(
        f"after {_calls(counters)} training calls {what} is {last:.3g}, and was {scaled.first:.3g} at first: {said}",
        where=last_place_of(subject, counters, scaled.late[-1].at) or scaled.late[-1].at.place,
        effect=effect,
        fix="bound it from below: max(tau_end, tau)" if scaled.divides else "bound it from above: min(most, scale)",
    )


def _calls(counters: list[Counter]) -> int:
    return max(counter.late for counter in counters)


def _expect_a_choice(
    subject: Subject, first: Reading, site: Site, early: list[Watched], late: list[Watched], counters: list[Counter]
) -> None:
    """Something is kept in every late call as in the early ones."""
    shares = [[_share(first, site, watched) for watched in passes] for passes in (early, late)]
    known = [[share for share in some if share is not None] for some in shares]
    if len(known[1]) < SEEDS or not known[0] or min(known[0]) == 0 or max(known[0]) == 1:
        return
    if max(known[1]) == 0:
        there = same_call(first.watched, site.choice, late[-1]) or site.choice
        raise Violation(
            f"after {_calls(counters)} training calls no token is kept any more, of {100 * known[0][0]:.0f} % at first",
            where=last_place_of(subject, counters, there) or site.place,
            effect="late in training nothing is left to learn from",
            fix="give the schedule an end: max(end, ...)",
        )


def _share(first: Reading, site: Site, watched: Watched) -> float | None:
    made = same_call(first.watched, site.decision_call, watched)  # type: ignore[arg-type]
    if made is None or not made.tensors or not made.tensors[0].isfinite().all():
        return None
    return float((made.tensors[0].detach() > 0.5).double().mean())


def _expect_numbers(subject: Subject, early: list[Watched], late: list[Watched], counters: list[Counter]) -> None:
    """No NaN is returned late that was not returned early."""
    if any(t.isnan().any() for watched in early for t in watched.outputs):
        return
    if not all(any(t.isnan().any() for t in watched.outputs) for watched in late):
        return
    call = next(
        (c for c in late[-1].calls if any(t.is_floating_point() and t.isnan().any() for t in c.tensors)
         and not any(t.is_floating_point() and t.isnan().any() for t in c.read)),
        None,
    )  # fmt: skip
    place: SourceLine | None = None if call is None else last_place_of(subject, counters, call) or call.place
    raise Violation(
        f"after {_calls(counters)} training calls the output is NaN",
        where=place,
        effect="late in training every parameter becomes NaN",
        fix="give the schedule an end: max(end, ...)",
    )
