"""The measuring of one process: shuffled rounds over BASE, HEAD, a copy of BASE and a slowed copy, cell by cell."""

import gc
import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from statistics import median

import numpy as np
import torch

from sdtps_ref.benchmarks.gate.measuring.cells import Cell
from sdtps_ref.benchmarks.gate.measuring.clock import HostClock, clock_for
from sdtps_ref.benchmarks.gate.measuring.equivalence import check_same, with_weights
from sdtps_ref.benchmarks.gate.measuring.isolated_import import Copy, loaded
from sdtps_ref.benchmarks.gate.measuring.plan import AGAIN, BASE, SLOW, Measured, Plan
from sdtps_ref.benchmarks.gate.measuring.slowdown import Filler, fit
from sdtps_ref.benchmarks.workloads.workloads import Inputs, make
from sdtps_ref.errors import SDTPSError

LEAST = 1e-3  # seconds a sample: below, a clock and a scheduler are measured
WARM_UP = 3  # calls of each subject, before it counts
PROBES = 15  # samples behind a first guess of a duration
MOST_CALLS = 1024
FEWEST_ROUNDS = 4  # a block
SUBJECTS = 4  # of a plain comparison


class Unmeasurable(SDTPSError):
    """A cell cannot be measured; the message is one line."""


@dataclass
class Subject:
    """Something to be timed: a call for each of the rotated inputs, and what is done besides."""

    calls: list[Callable[[], None]]
    filler: Filler | None = None


def measure(plan: Plan, announce: Callable[[Cell], None] = lambda cell: None) -> list[Measured]:
    """All cells of the plan, in the order of the plan. Raises SDTPSError where there is nothing to be measured.

    Every side is loaded apart, the A/A copy too: what a second import costs, and where it lies, is part of the noise.
    """
    torch.set_num_threads(plan.threads)
    base, head, again = loaded(plan.base), loaded(plan.head), loaded(plan.base)
    for cell in plan.cells:
        check_same(cell, base, head)
    copies = {AGAIN: again, SLOW: again, BASE: base}
    copies = {name: copies.get(name, head) for name in plan.doses}
    measured = []
    for number, cell in enumerate(plan.cells):
        announce(cell)
        rng = random.Random(f"{plan.seed} {number}")
        measured.append(_measure_cell(plan, cell, copies, rng))
    return measured


def _measure_cell(plan: Plan, cell: Cell, copies: dict[str, Copy], rng: random.Random) -> Measured:
    clock = clock_for(cell.device, plan.threads)
    fillers = {name: Filler(cell, dose) for name, dose in plan.doses.items() if dose}
    base = copies[BASE]
    with base.active():
        inputs = make(base.implementation, cell.stage, cell.size, cell.dtype, cell.device).inputs
    subjects = _built(cell, copies, fillers, inputs)
    calls, seconds = _calls(cell, subjects[BASE], fillers, clock)
    rounds = max(
        FEWEST_ROUNDS, round(plan.seconds / plan.blocks / (seconds * sum(1 + dose for dose in plan.doses.values())))
    )
    times: list[list[list[float]]] = []
    seen: dict[str, list[float]] = {name: [] for name in fillers}
    for block in range(plan.blocks):
        if block:
            subjects = _built(cell, copies, fillers, inputs)
        found, shares = _block(subjects, calls, rounds, rng, clock)
        times.append(found)
        for name, filler in fillers.items():
            seen[name] += shares[name]
            filler.correct(median(shares[name]))
    return Measured(cell, np.array(times), calls, {name: median(seen.get(name, [0.0])) for name in subjects})


def _built(
    cell: Cell, copies: dict[str, Copy], fillers: dict[str, Filler], inputs: tuple[Inputs, ...]
) -> dict[str, Subject]:
    """Every subject made anew, on the same inputs with the same weights, and called a few times."""
    subjects, first = {}, None
    for name, copy in copies.items():
        with copy.active():
            made = make(copy.implementation, cell.stage, cell.size, cell.dtype, cell.device, rotated=0)
            workload = replace(made, inputs=inputs)
            first = first or workload
            subject = Subject(with_weights(workload, first).calls(cell.mode), fillers.get(name))
            for call in subject.calls * WARM_UP:
                call()
        subjects[name] = subject
    return subjects


def _calls(cell: Cell, base: Subject, fillers: dict[str, Filler], clock: HostClock) -> tuple[int, float]:
    """How many calls make a sample that is long enough to be timed and to be dosed, and how long it is in seconds."""

    def probe(calls: int, filler: Filler | None = None) -> list[tuple[float, float]]:
        subject = Subject(base.calls, filler)
        return [_sample(subject, calls, turn, clock) for turn in range(PROBES)]

    def share(calls: int, filler: Filler) -> float:
        return median(after / before for before, after in probe(calls, filler))

    calls = max(1, math.ceil(LEAST / median(before for before, _ in probe(1))))
    while calls <= MOST_CALLS:
        if fit(list(fillers.values()), partial(share, calls)):
            return calls, median(before for before, _ in probe(calls))
        calls *= 2
    raise Unmeasurable(f"{cell}: {MOST_CALLS} calls are too short to be slowed by a measured part")


def _block(
    subjects: dict[str, Subject], calls: int, rounds: int, rng: random.Random, clock: HostClock
) -> tuple[list[list[float]], dict[str, list[float]]]:
    """Times of every round and subject, and the fillers' parts of their samples."""
    times: list[list[float]] = []
    shares: dict[str, list[float]] = {name: [] for name, subject in subjects.items() if subject.filler}
    order = list(subjects)
    with _no_collection():
        for turn in range(rounds):
            rng.shuffle(order)
            taken = {}
            for name in order:
                before, after = _sample(subjects[name], calls, turn, clock)
                taken[name] = before + after
                if name in shares:
                    shares[name].append(after / before)
            times.append([taken[name] for name in subjects])
    return times, shares


def _sample(subject: Subject, calls: int, turn: int, clock: HostClock) -> tuple[float, float]:
    """Seconds of the calls, and of the filler after them."""
    work, filler = subject.calls[turn % len(subject.calls)], subject.filler
    clock.settle()
    begin = clock.mark()
    for _ in range(calls):
        work()
    between = clock.mark()
    if filler is not None:
        filler.work()
    end = clock.mark()
    return clock.seconds(begin, between), clock.seconds(between, end)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Garbage is collected between blocks, not in the middle of a sample."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
