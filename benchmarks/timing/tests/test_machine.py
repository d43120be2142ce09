"""The machine's own figures: a limit must be one, also for what stays in a cache."""

import contextlib
import math

import pytest
import torch

from sdtps_ref.benchmarks.timing import machine
from sdtps_ref.benchmarks.timing.clock import HostClock
from sdtps_ref.benchmarks.timing.limits import Work
from sdtps_ref.benchmarks.timing.machine import LEAST_WORKING_SET, Limit, Machine
from sdtps_ref.benchmarks.timing.timing import Call


class CacheOfOneMegabyte(Machine):
    """Copies at 100 bytes a second what fits in its cache, at 10 what does not; an operator takes a second."""

    def __init__(self) -> None:
        super().__init__("cpu", HostClock())
        self.measured: list[int] = []

    @property
    def launch(self) -> float:
        """Seconds."""
        return 1.0

    def matrix_rate(self, dtype: str) -> float:
        """FLOPs a second."""
        return 1000.0

    def _measured_bandwidth(self, size: int) -> float:
        self.measured.append(size)
        return 100.0 if size <= 2**20 else 10.0


def test_bandwidth_is_measured_at_a_working_set_of_the_workloads_own_size() -> None:
    """What stays in the cache is held to the cache's speed; rounded down, which can only favour."""
    pretend = CacheOfOneMegabyte()

    seen = [pretend.bandwidth(size) for size in (2**19 + 5, 2**21 + 5, 2**21 + 7)]

    assert seen == [100.0, 10.0, 10.0]
    assert pretend.measured == [2**19, 2**20, 2**21, 2**22]


def test_what_is_tiny_is_held_to_the_least_working_set() -> None:
    """Below it a copy is little more than its launch."""
    pretend = CacheOfOneMegabyte()

    pretend.bandwidth(1)

    assert pretend.measured[0] == LEAST_WORKING_SET


@pytest.mark.parametrize(
    ("done", "expected", "bound_by"),
    [
        (Work(flops=0, elements=100), Limit(memory=4.0, matrix=0.0, launch=1.0), "memory"),
        (Work(flops=9000, elements=100), Limit(memory=4.0, matrix=9.0, launch=1.0), "matrix"),
        (Work(flops=0, elements=1), Limit(memory=0.04, matrix=0.0, launch=1.0), "launch"),
    ],
)
def test_the_limit_is_the_longer_of_both_and_a_launch(done: Work, expected: Limit, bound_by: str) -> None:
    """max(bytes / bandwidth, FLOPs / rate) + launch."""
    limit = CacheOfOneMegabyte().limit(done, "float32")

    assert (expected, bound_by) == (limit, limit.bound_by)
    assert limit.seconds == max(limit.memory, limit.matrix) + 1.0


@pytest.mark.parametrize(
    ("taken", "launches", "expected"),
    [
        (2.0, [1.0], 1.0),
        (0.5, [1.0, 0.25], 0.25),  # the machine was busy at first
        (0.5, [1.0, 3.0, 0.25], 0.25),  # and busier then
        (0.5, [1.0, 3.0, 2.0], 1.0),  # whatever was faster did not do the work
    ],
)
def test_a_limit_that_something_was_faster_than_is_measured_again(
    taken: float, launches: list[float], expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best counts, and never more is measured than it takes."""
    measured: list[float] = []

    def best(self: Machine, call: Call) -> float:
        measured.append(launches[len(measured)])
        return measured[-1]

    monkeypatch.setattr(Machine, "_best", best)
    # Of the three figures only the launch counts.
    monkeypatch.setattr(Machine, "_measured_bandwidth", lambda self, size: math.inf)

    limit = machine.machine("cpu").limit(Work(flops=0, elements=1), "float32", taken)

    assert limit.seconds == expected
    assert measured == launches


@pytest.mark.parametrize("fails", [False, True])
def test_a_cpu_is_measured_with_one_thread_too(fails: bool) -> None:
    """And torch has as many as before in the end, also where something raised."""
    seen = []

    def call() -> None:
        seen.append(torch.get_num_threads())
        if fails:
            raise MemoryError

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(MemoryError) if fails else contextlib.nullcontext():
            machine.machine("cpu")._best(call)
        assert fails or set(seen) == {1, 2}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
