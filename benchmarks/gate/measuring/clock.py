"""Marks in time: the host's clock, less the time spent waiting for a core; or events on a CUDA device."""

import os
import time
from typing import Any

import torch

# Time on a core, time ready to run but waiting for one, and how often, of this thread: nanoseconds.
SCHEDULED = "/proc/thread-self/schedstat"


class HostClock:
    """A monotonic clock. Work on the CPU has ended when its call returns."""

    says = "wall time"

    def mark(self) -> Any:
        """Now."""
        return time.perf_counter_ns()

    def seconds(self, begin: Any, end: Any) -> float:
        """From one mark to another."""
        return (end - begin) / 1e9

    def settle(self) -> None:
        """Nothing is pending."""


class SharedHostClock(HostClock):
    """A monotonic clock that stands still while this thread is ready to run and another one has its core.

    On a shared machine that waiting is most of the noise, and none of it the code's: whoever calls 1 ms of work waits
    4 ms for a slice. Sleeping and waiting for a lock or a file still count. For one thread only: the others' waiting is
    not seen from here. Source: Linux, Documentation/scheduler/sched-stats.
    """

    says = "wall time, less waiting for a core"

    def __init__(self) -> None:
        self.file = os.open(SCHEDULED, os.O_RDONLY)

    def __del__(self) -> None:
        if hasattr(self, "file"):
            os.close(self.file)

    def mark(self) -> int:
        """Now."""
        while True:  # a wait between the two readings would count in one of them alone
            waited, now = self._waited(), time.perf_counter_ns()
            if self._waited() == waited:
                return now - waited

    def _waited(self) -> int:
        return int(os.pread(self.file, 64, 0).split()[1])


class DeviceClock(HostClock):
    """Events in the device's queue: what the host does between two of them counts where the device waits for it."""

    says = "time between events on the device"

    def __init__(self, device: str):
        self.device = device

    def mark(self) -> Any:
        """An event behind everything that was asked for so far."""
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self.device))
        return event

    def seconds(self, begin: Any, end: Any) -> float:
        """From one event to another; waits for both."""
        end.synchronize()
        return begin.elapsed_time(end) / 1e3

    def settle(self) -> None:
        """Wait until the device is idle."""
        torch.cuda.synchronize(self.device)


def clock_for(device: str, threads: int) -> HostClock:
    """The best clock there is for "cpu", "cuda" or "cuda:1", for work in that many threads of this process."""
    if device != "cpu":
        return DeviceClock(device)
    try:
        with open(SCHEDULED) as file:
            counted = len(file.read().split()) == 3
    except OSError:
        counted = False
    return SharedHostClock() if counted and threads == 1 else HostClock()
