"""The measuring of one process: shuffled rounds over BASE, HEAD, a copy of BASE and a slowed copy, cell by cell."""

import gc
import random
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np
import torch

from sdtps_ref.benchmarks.gate.measuring.equivalence import check_same, with_weights
from sdtps_ref.benchmarks.gate.measuring.isolated_import import Copy, loaded
from sdtps_ref.benchmarks.gate.measuring.plan import AGAIN, BASE, SLOW, Measured, Plan
from sdtps_ref.benchmarks.gate.measuring.slowdown import Filler, fit
from sdtps_ref.benchmarks.timing.clock import HostClock, clock_for
from sdtps_ref.benchmarks.timing.process import in_fresh_process
from sdtps_ref.benchmarks.timing.timing import WARM_UPS, Sample, Subject, in_turns, least_seconds, warmed_up
from sdtps_ref.benchmarks.workloads.cells import Cell
from sdtps_ref.benchmarks.workloads.workload import Inputs
from sdtps_ref.benchmarks.workloads.workloads import make
from sdtps_ref.errors import SDTPSError

PROBES = 15  # samples behind a first guess of a filler's share
MOST_CALLS = 1024  # in a sample
FEWEST_ROUNDS = 4  # a block


class Unmeasurable(SDTPSError):
    """A cell cannot be measured; the message is one line."""


def measured_in_fresh_process(plan: Plan, announce: Callable[[Cell], None] = lambda cell: None) -> list[Measured]:
    """What a new process measures. announce: called with each cell as it begins. Raises SDTPSError, as it did there."""
    module = measured_in_fresh_process.__module__
    answers = in_fresh_process(f"{module}:serve", plan.to_json(), lambda place: announce(plan.cells[place]))
    return [Measured.from_json(cell, answer) for cell, answer in zip(plan.cells, answers, strict=True)]


def serve(order: dict[str, Any], announce: Callable[[Any], None]) -> list[dict[str, Any]]:
    """`measure` for `in_fresh_process`: plain data in and out."""
    gc.freeze()  # torch's half a million objects need not be looked through between blocks
    plan = Plan.from_json(order)
    return [measured.to_json() for measured in measure(plan, lambda cell: announce(plan.cells.index(cell)))]


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
    a_round = seconds * sum(1 + dose for dose in plan.doses.values())
    rounds = max(FEWEST_ROUNDS, round(plan.seconds / plan.blocks / a_round))
    times: list[list[list[float]]] = []
    shares: dict[str, list[float]] = {name: [] for name in fillers}
    for block in range(plan.blocks):
        if block:
            subjects = _built(cell, copies, fillers, inputs)
        timed = [replace(subject, per_sample=calls) for subject in subjects.values()]
        taken = in_turns(timed, clock, rounds=rounds, rng=rng)
        times.append([[sample.whole for sample in samples] for samples in taken])
        for name, samples in zip(subjects, zip(*taken, strict=True), strict=True):
            if name in fillers:
                found = [sample.after / sample.device for sample in samples]
                shares[name] += found
                fillers[name].correct(median(found))
    return Measured(cell, np.array(times), calls, {name: median(shares.get(name, [0.0])) for name in subjects})


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
            calls = with_weights(workload, first).calls(cell.mode)
            for call in calls * WARM_UPS:
                call()
        subjects[name] = Subject(calls, after=fillers[name].work if name in fillers else None)
    return subjects


def _calls(cell: Cell, base: Subject, fillers: dict[str, Filler], clock: HostClock) -> tuple[int, float]:
    """How many calls make a sample that is long enough to be timed and to be slowed, and its seconds."""
    subject = warmed_up(base.calls, clock, least_seconds(cell.device))

    def probe(filler: Filler | None = None) -> list[Sample]:
        probed = replace(subject, after=None if filler is None else filler.work)
        return [probed.sample(clock, turn) for turn in range(PROBES)]

    def share(filler: Filler) -> float:
        return median(sample.after / sample.device for sample in probe(filler))

    while subject.per_sample <= MOST_CALLS:
        if fit(list(fillers.values()), share):
            return subject.per_sample, median(sample.device for sample in probe())
        subject = replace(subject, per_sample=2 * subject.per_sample)
    raise Unmeasurable(f"{cell}: {MOST_CALLS} calls are too short to be slowed by a measured part")
