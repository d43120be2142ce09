"""A pipeline and the yardstick, timed in turns: the ratio of their times, which outlasts the day.

Each round times both, in an order drawn anew; a round gives one ratio, and the median of many rounds is taken. What
one process happened to get (memory layout, a busy neighbour) lasts as long as that process, so several are asked.
"""

import gc
import math
import random
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import cycle
from multiprocessing import get_context
from typing import Any

import torch

from sdtps_ref.benchmarks.history.frozen_baseline import Yardstick
from sdtps_ref.benchmarks.workloads import workloads
from sdtps_ref.benchmarks.workloads.sizes import Size
from sdtps_ref.errors import InvalidInput, SDTPSError
from sdtps_ref.properties.targets.target import load

SAMPLE = {"cpu": 1e-3, "cuda": 2e-4}  # seconds that a sample lasts at least, so that the clock is no matter
FEWEST_ROUNDS = 15
Call = Callable[[], None]


class TimingFailed(SDTPSError):
    """A process that was to time something came to no result."""


@dataclass(frozen=True)
class Cell:
    """What is timed. target: as for `sdtps certify`."""

    target: str
    size: Size
    dtype: str
    mode: str
    device: str


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


def in_processes(cells: Sequence[Cell], processes: int, seconds: float, done: Callable[[Cell], None]) -> list[Timing]:
    """A timing for each cell: the median of that many fresh processes, which time `seconds` a cell each.

    done: called after each timing. Raises TimingFailed, or what loading the target raised.
    """
    found: list[list[Timing]] = [[] for _ in cells]
    for process in range(processes):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            for cell, timings in zip(cells, found, strict=True):
                try:
                    timings.append(pool.submit(time_cell, cell, seconds, process).result())
                except BrokenProcessPool as error:
                    raise TimingFailed(f"the process that timed {cell.target} at {cell.size} died") from error
                done(cell)
    return [_joined(timings) for timings in found]


def time_cell(cell: Cell, seconds: float, seed: int) -> Timing:
    """One cell in this process."""
    kind = torch.device(cell.device).type
    calls = [
        workloads.make(implementation, "pipeline", cell.size, cell.dtype, cell.device).calls(cell.mode)
        for implementation in (load(cell.target), YardstickImplementation())
    ]
    return in_turns(*calls, seconds=seconds, seed=seed, device=kind)


def in_turns(subject: Sequence[Call], yardstick: Sequence[Call], *, seconds: float, seed: int, device: str) -> Timing:
    """Time two works in shuffled rounds for about `seconds`. A work is its calls, rotated; device: "cpu" or "cuda"."""
    finish: Callable[[], Any] = torch.cuda.synchronize if device == "cuda" else lambda: None
    works = [cycle(subject), cycle(yardstick)]
    lengths = [_calls_a_sample(work, finish, SAMPLE.get(device, SAMPLE["cpu"])) for work in works]
    order, shuffle = [0, 1], random.Random(seed)
    rounds: list[tuple[float, float]] = []
    collecting = gc.isenabled()
    gc.disable()
    try:
        until = time.perf_counter() + seconds
        while len(rounds) < FEWEST_ROUNDS or time.perf_counter() < until:
            shuffle.shuffle(order)
            took = {which: _sample(works[which], lengths[which], finish) for which in order}
            rounds.append((took[0], took[1]))
    finally:
        if collecting:
            gc.enable()
    ratio = math.exp(statistics.median(math.log(mine / its) for mine, its in rounds))
    mine, its = (statistics.median(times) for times in zip(*rounds, strict=True))
    return Timing(ratio, ratio, ratio, mine, its, len(rounds))


def _sample(work: "cycle[Call]", length: int, finish: Call) -> float:
    """Seconds that a call takes, of `length` in a row."""
    finish()
    start = time.perf_counter()
    for _ in range(length):
        next(work)()
    finish()
    return (time.perf_counter() - start) / length


def _calls_a_sample(work: "cycle[Call]", finish: Call, least: float) -> int:
    """How many calls last `least` seconds; warms up on the way."""
    length = 1
    while (took := _sample(work, length, finish) * length) < least:
        length = max(length + 1, math.ceil(length * least / max(took, 1e-9)))
    return length


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
