"""How long calls take: warm-up, samples that are long enough, rotated inputs, and subjects timed in turns.

Everything that this package times goes through here: `sdtps bench` times one subject after another, the history a
pipeline and its yardstick in turns, the gate four or more.
"""

import gc
import math
import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from sdtps_ref.benchmarks.timing.clock import HostClock

Call = Callable[[], object]  # what it returns is dropped at once

# Shorter samples measure the clock and the scheduler.
LEAST_SECONDS = {"cpu": 1e-3, "cuda": 200e-6}
MOST_CALLS = 10_000  # in a sample, should a call seem to take no time at all
WARM_UPS = 3  # of every call
PROBES = 3  # samples whose shortest tells how many calls make a sample
FEWEST_SAMPLES = 3


def least_seconds(device: str) -> float:
    """How long a sample lasts at least on that device."""
    return LEAST_SECONDS[torch.device(device).type]


@dataclass(frozen=True)
class Sample:
    """Seconds for the calls of one sample.

    Attributes:
        host: Until the last call returned.
        device: Until the last call's work was done.
        after: Of what was done after the calls, by the device's clock.
    """

    host: float
    device: float
    after: float = 0.0

    @property
    def whole(self) -> float:
        """The calls and what came after them."""
        return self.device + self.after


@dataclass(frozen=True)
class Subject:
    """Something that is timed.

    Attributes:
        calls: They do the same work on different inputs, and take turns.
        per_sample: How many of them are in a sample.
        after: Done after them in each sample, and timed apart.
    """

    calls: Sequence[Call]
    per_sample: int = 1
    after: Call | None = None

    def sample(self, clock: HostClock, turn: int) -> Sample:
        """Take one sample. turn: its number, from 0; the inputs go round from one to the next."""
        first = turn * self.per_sample
        calls = [self.calls[place % len(self.calls)] for place in range(first, first + self.per_sample)]
        clock.settle()
        begin = clock.mark()
        for call in calls:
            call()
        between = clock.mark()
        if self.after is None:
            return Sample(clock.host_seconds(begin, between), clock.device_seconds(begin, between))
        self.after()
        end = clock.mark()
        device, after = clock.device_seconds(begin, between), clock.device_seconds(between, end)
        return Sample(clock.host_seconds(begin, between), device, after)


def warmed_up(calls: Sequence[Call], clock: HostClock, least: float) -> Subject:
    """Run every call a few times, and find how many of them fill a sample.

    Args:
        calls: They do the same work on different inputs.
        clock: Of the device that they work on.
        least: Seconds that a sample lasts at least.
    """
    subject = Subject(calls)
    taken = min(subject.sample(clock, turn).device for turn in range(WARM_UPS * len(calls)))
    while taken < least and subject.per_sample < MOST_CALLS:
        needed = math.ceil(subject.per_sample * least / max(taken, least / MOST_CALLS))
        subject = Subject(calls, min(MOST_CALLS, max(subject.per_sample + 1, needed)))
        taken = min(subject.sample(clock, turn).device for turn in range(PROBES))
    return subject


def in_turns(
    subjects: Sequence[Subject],
    clock: HostClock,
    *,
    rounds: int | None = None,
    fewest: int = FEWEST_SAMPLES,
    most_seconds: float = math.inf,
    rng: random.Random | None = None,
) -> list[tuple[Sample, ...]]:
    """Time subjects in rounds: each once a round.

    Args:
        subjects: They have been called before.
        clock: Of the device that they work on.
        rounds: How many; None for as many as fit into `most_seconds`.
        fewest: How many there are at least, however long they take.
        most_seconds: After which no other round begins.
        rng: Draws the order within each round; without one it stays as given.

    Returns:
        A tuple for each round, its samples in the order of `subjects`.
    """
    order, spent = list(range(len(subjects))), 0.0
    taken: list[tuple[Sample, ...]] = []
    with _no_collection():
        while (rounds is None or len(taken) < rounds) and (len(taken) < fewest or spent < most_seconds):
            if rng is not None:
                rng.shuffle(order)
            found = {place: subjects[place].sample(clock, len(taken)) for place in order}
            taken.append(tuple(found[place] for place in range(len(subjects))))
            spent += sum(sample.whole for sample in taken[-1])
    return taken


@contextmanager
def _no_collection() -> Iterator[None]:
    """Garbage is collected before the samples, not in the middle of one."""
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@dataclass(frozen=True)
class Times:
    """Seconds a call, a number for each sample; `calls` is how many calls were in one."""

    host: tuple[float, ...]
    device: tuple[float, ...]
    calls: int

    @property
    def seconds(self) -> float:
        """Median time of a call, until its work is done."""
        return statistics.median(self.device)

    @property
    def host_seconds(self) -> float:
        """Median time until a call returns."""
        return statistics.median(self.host)

    @property
    def middle_half(self) -> tuple[float, float]:
        """Where the middle half of the samples begins and ends."""
        low, _, high = statistics.quantiles(self.device, n=4, method="inclusive")
        return low, high

    @property
    def spread(self) -> float:
        """Half of the width of the middle half, over the median: which digits to believe."""
        low, high = self.middle_half
        return (high - low) / 2 / self.seconds

    @property
    def least(self) -> float:
        """The shortest time of a call: what the machine can do when nothing else is in its way."""
        return min(self.device)


def measure(
    calls: Sequence[Call], clock: HostClock, *, least: float, samples: int = 20, most_seconds: float = math.inf
) -> Times:
    """Time one subject.

    Args:
        calls: They do the same work on different inputs, which are used alike.
        clock: Of the device that they work on.
        least: Seconds that a sample lasts at least.
        samples: How many are taken.
        most_seconds: After which three of them are enough.
    """
    subject = warmed_up(calls, clock, least)
    taken = in_turns([subject], clock, rounds=samples, most_seconds=most_seconds)
    host, device = zip(*((s.host / subject.per_sample, s.device / subject.per_sample) for (s,) in taken), strict=True)
    return Times(host, device, subject.per_sample)
