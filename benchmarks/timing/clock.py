"""Clocks: the host's, the host's less the time spent waiting for a core, and CUDA events."""

import os
import time
from collections.abc import Callable
from typing import Any

import torch

# Of this thread, in nanoseconds: time on a core, time spent ready to run but waiting for one; and how often.
SCHEDULED = "/proc/thread-self/schedstat"


class HostClock:
    """A monotonic clock for a device that has done its work when the call returns.

    Args:
        now: Seconds.
    """

    description = "wall time"

    def __init__(self, now: Callable[[], float] = time.perf_counter):
        self.now = now

    def settle(self) -> None:
        """Prepare for a sample: nothing is pending on the CPU."""

    def mark(self) -> Any:
        """A point in time."""
        return self.now()

    def device_seconds(self, begin: Any, end: Any) -> float:
        """Seconds between two marks, as the device saw them."""
        return end - begin

    def host_seconds(self, begin: Any, end: Any) -> float:
        """Seconds between two marks, as the host saw them."""
        return end - begin


class OnCoreClock(HostClock):
    """A monotonic clock that stops while this thread is ready to run but another one has its core.

    On a shared machine that waiting is most of the noise, and none of it is the code's: a call of 1 ms waits 4 ms for
    a slice. Sleeping and waiting for a lock or a file still count. For a single thread: what other threads wait is not
    seen from here. Source: Linux, Documentation/scheduler/sched-stats.
    """

    description = "wall time, less waiting for a core"

    def __init__(self, now: Callable[[], float] = time.perf_counter, scheduled: str = SCHEDULED):
        super().__init__(now)
        self.file = os.open(scheduled, os.O_RDONLY)

    def __del__(self) -> None:
        if hasattr(self, "file"):
            os.close(self.file)

    def mark(self) -> float:
        """A point in time."""
        while True:  # a wait between the two readings would count in only one of them
            waited, now = self._waited(), self.now()
            if self._waited() == waited:
                return now - waited / 1e9

    def _waited(self) -> int:
        return int(os.pread(self.file, 64, 0).split()[1])


class CudaClock(HostClock):
    """CUDA events, with the L2 cache flushed before each sample.

    While the GPU flushes, the host is already launching, so the first launch is not on the device's clock; whatever
    the GPU waits for later is.

    Args:
        flush: Writes more than the L2 cache holds.
        cuda: torch.cuda, or its stand-in in a test.
        now: Seconds on the host.
    """

    description = "time between CUDA events"

    def __init__(self, flush: Callable[[], Any], cuda: Any = torch.cuda, now: Callable[[], float] = time.perf_counter):
        super().__init__(now)
        self.flush, self.cuda = flush, cuda

    def settle(self) -> None:
        """Wait until the device is idle, then flush."""
        self.cuda.synchronize()
        self.flush()

    def mark(self) -> Any:
        """An event behind everything that was launched so far, and the host's time."""
        event = self.cuda.Event(enable_timing=True)
        event.record()
        return event, self.now()

    def device_seconds(self, begin: Any, end: Any) -> float:
        """Seconds between two events; waits for both."""
        self.cuda.synchronize()
        return begin[0].elapsed_time(end[0]) / 1e3

    def host_seconds(self, begin: Any, end: Any) -> float:
        """Seconds that the host took to launch what lies between two marks."""
        return end[1] - begin[1]


def clock_for(device: str, threads: int | None = None) -> HostClock:
    """The best clock for a device.

    Args:
        device: "cpu", "cuda" or "cuda:1"; a GPU with a number becomes the current one.
        threads: How many threads the CPU works with; None is torch's setting.
    """
    place = torch.device(device)
    if place.type == "cuda":
        if place.index is not None:
            torch.cuda.set_device(place.index)
        cache = torch.cuda.get_device_properties(place).L2_cache_size
        return CudaClock(torch.empty(2 * cache, dtype=torch.int8, device=place).zero_)
    try:
        with open(SCHEDULED) as file:
            counted = len(file.read().split()) == 3
    except OSError:
        counted = False
    single = (torch.get_num_threads() if threads is None else threads) == 1
    return OnCoreClock() if counted and single else HostClock()
