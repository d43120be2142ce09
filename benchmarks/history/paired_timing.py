"""A pipeline and the yardstick, timed in turns: the ratio of their times, which outlasts the day.

Each round times both, in an order drawn anew; a round gives one ratio, and the median of many rounds is taken. What
one process happened to get (memory layout, a busy neighbour) lasts as long as that process, so several are asked.
"""

import math
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sdtps_ref.benchmarks.history.frozen_baseline import Yardstick
from sdtps_ref.benchmarks.timing.clock import HostClock, clock_for
from sdtps_ref.benchmarks.timing.process import ProcessFailed, in_fresh_process
from sdtps_ref.benchmarks.timing.timing import Subject, in_turns, least_seconds, warmed_up
from sdtps_ref.benchmarks.workloads import workloads
from sdtps_ref.benchmarks.workloads.cells import Cell
from sdtps_ref.errors import InvalidInput
from sdtps_ref.properties.targets.target import load

FEWEST_ROUNDS = 15


@dataclass(frozen=True)
class Timing:
    """ratio: time over the yardstick's, a median; lowest, highest: of the processes. Seconds are for one call."""

    ratio: float
    lowest: float
    highest: float
    seconds: float
    yardstick_seconds: float
    rounds: int
    processes: int = 1


class YardstickImplementation:
    """The yardstick as the contract has it."""

    name = "yardstick"

    def pipeline(self, *, dim: int, num_tokens: int, keep: int, slots: int, tau: float) -> Yardstick:
        """tau is 1, as it is in every workload."""
        if tau != 1:
            raise InvalidInput.given(f"tau={tau}", "1")
        return Yardstick(dim, keep, slots)


def in_processes(
    target: str, cells: Sequence[Cell], processes: int, seconds: float, done: Callable[[], None]
) -> list[Timing]:
    """Time each cell in several fresh processes.

    Args:
        target: What is timed, as for `sdtps certify`.
        cells: Of the stage pipeline.
        processes: How many.
        seconds: Measuring time of a cell in a process.
        done: Called after each cell in each process.

    Returns:
        The median of the processes for each cell. Raises ProcessFailed.
    """
    found: list[list[Timing]] = []
    for seed in range(processes):
        order = {"target": target, "cells": [asdict(cell) for cell in cells], "seconds": seconds, "seed": seed}
        answers = in_fresh_process(f"{serve.__module__}:serve", order, lambda _: done())
        try:
            timings = [Timing(**answer) for answer in answers]
        except TypeError as error:
            raise ProcessFailed(f"a measuring process gave no timing ({error})") from None
        found.append(timings)
    return [_joined(timings) for timings in zip(*found, strict=True)]


def serve(order: dict[str, Any], announce: Callable[[Any], None]) -> list[dict[str, Any]]:
    """`time_cell` for `in_fresh_process`: plain data in and out."""
    timings = []
    for given in order["cells"]:
        timing = time_cell(order["target"], Cell.from_json(given), order["seconds"], order["seed"])
        timings.append(asdict(timing))
        announce(None)
    return timings


def time_cell(target: str, cell: Cell, seconds: float, seed: int) -> Timing:
    """Time one cell in this process."""
    clock = clock_for(cell.device)
    subject, yardstick = (
        warmed_up(
            workloads.make(implementation, cell.stage, cell.size, cell.dtype, cell.device).calls(cell.mode),
            clock,
            least_seconds(cell.device),
        )
        for implementation in (load(target), YardstickImplementation())
    )
    return time_pair(subject, yardstick, clock, seconds, seed)


def time_pair(subject: Subject, yardstick: Subject, clock: HostClock, seconds: float, seed: int) -> Timing:
    """Time both in shuffled rounds for about `seconds`."""
    rng = random.Random(seed)
    rounds = in_turns([subject, yardstick], clock, fewest=FEWEST_ROUNDS, most_seconds=seconds, rng=rng)
    mine = [sample.device / subject.per_sample for sample, _ in rounds]
    its = [sample.device / yardstick.per_sample for _, sample in rounds]
    ratio = math.exp(statistics.median(math.log(one / other) for one, other in zip(mine, its, strict=True)))
    return Timing(ratio, ratio, ratio, statistics.median(mine), statistics.median(its), len(rounds))


def _joined(timings: Sequence[Timing]) -> Timing:
    ratios = [timing.ratio for timing in timings]
    return Timing(
        ratio=statistics.median(ratios),
        lowest=min(ratios),
        highest=max(ratios),
        seconds=statistics.median(timing.seconds for timing in timings),
        yardstick_seconds=statistics.median(timing.yardstick_seconds for timing in timings),
        rounds=sum(timing.rounds for timing in timings),
        processes=len(timings),
    )
