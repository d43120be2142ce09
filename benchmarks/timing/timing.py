"""How long a call takes: warm-up, enough work in a sample, rotated inputs, host and device time apart."""

import itertools
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

Call = Callable[[], object]  # what it returns is dropped at once

# Shorter samples measure the clock and the scheduler.
LEAST_SECONDS = {"cpu": 1e-3, "cuda": 200e-6}
MOST_CALLS = 10_000  # in a sample, should a call seem to take no time at all


@dataclass(frozen=True)
class Sample:
    """Seconds for some calls. host: until the last one returned; device: until the last one's work was done."""

    host: float
    device: float


class Stopwatch(Protocol):
    """Times calls in a row."""

    def sample(self, calls: Sequence[Call]) -> Sample:
        """Run them all and return what they took together."""


@dataclass(frozen=True)
class HostStopwatch:
    """For a device that has done its work when the call returns. clock: seconds, monotonic."""

    clock: Callable[[], float] = time.perf_counter

    def sample(self, calls: Sequence[Call]) -> Sample:
        """Both times are the same."""
        started = self.clock()
        for call in calls:
            call()
        seconds = self.clock() - started
        return Sample(seconds, seconds)


@dataclass(frozen=True)
class CudaStopwatch:
    """For a GPU: CUDA events around the calls, and the L2 cache flushed before the first event, so outside both.

    flush: writes over more than the L2 cache holds. While the GPU does that, the host is already asking for the
    calls, so that the first launch is not on the clock; what the GPU waits for later is. cuda: torch.cuda, or what
    stands in for it in a test.
    """

    flush: Callable[[], Any]
    cuda: Any = torch.cuda
    clock: Callable[[], float] = time.perf_counter

    def sample(self, calls: Sequence[Call]) -> Sample:
        """Host: seconds until everything was asked for. Device: seconds between the two events."""
        start, end = (self.cuda.Event(enable_timing=True) for _ in range(2))
        self.cuda.synchronize()
        self.flush()
        start.record()
        started = self.clock()
        for call in calls:
            call()
        host = self.clock() - started
        end.record()
        self.cuda.synchronize()
        return Sample(host, start.elapsed_time(end) / 1e3)


def stopwatch(device: str) -> Stopwatch:
    """The one for that device ("cpu", "cuda", "cuda:1", which must be the current one)."""
    if torch.device(device).type != "cuda":
        return HostStopwatch()
    held = torch.cuda.get_device_properties(device).L2_cache_size
    over = torch.empty(2 * held, dtype=torch.int8, device=device)
    return CudaStopwatch(over.zero_)


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
    calls: Sequence[Call],
    watch: Stopwatch,
    *,
    least_seconds: float,
    samples: int = 20,
    warm_ups: int = 3,
    most_seconds: float = math.inf,
) -> Times:
    """Time `calls`, which do the same work on different inputs, in turn.

    Every call is run `warm_ups` times first. A sample holds as many calls as fill `least_seconds`, and goes on with
    the input after the last one's, so that all inputs are used alike. After `most_seconds` it is enough, though
    never with fewer than three samples.
    """
    for _ in range(max(1, warm_ups)):
        warm = watch.sample(calls)
    each = max(warm.device / len(calls), least_seconds / MOST_CALLS)
    count = max(1, math.ceil(least_seconds / each))
    turns = itertools.cycle(calls)
    taken: list[Sample] = []
    while len(taken) < samples and (len(taken) < 3 or sum(s.host for s in taken) < most_seconds):
        taken.append(watch.sample(list(itertools.islice(turns, count))))
    host, device = (tuple(getattr(sample, which) / count for sample in taken) for which in ("host", "device"))
    return Times(host, device, count)
