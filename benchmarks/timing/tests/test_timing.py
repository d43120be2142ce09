"""Timing on a clock that is not real, and a GPU that is not there: the order of things, and how many of them."""

from collections.abc import Callable
from typing import Any

import pytest

from sdtps_ref.benchmarks.timing import timing
from sdtps_ref.benchmarks.timing.timing import CudaStopwatch, HostStopwatch, Sample, Times


class Pretend:
    """A clock of its own, a log of what happened, and work that takes the time it is told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.log: list[str] = []

    def clock(self) -> float:
        """Seconds."""
        return self.now

    def call(self, name: str, seconds: float) -> Callable[[], None]:
        """Something to be timed."""

        def run() -> None:
            self.log.append(name)
            self.now += seconds

        return run


class PretendGPU(Pretend):
    """A queue of its own: what is launched is done later, and events are on the device's clock."""

    def __init__(self) -> None:
        super().__init__()
        self.done = 0.0

    def launch(self, name: str, seconds: float, host: float = 0.0) -> Callable[[], None]:
        """Work of `seconds` that the host asks for in `host`."""

        def run() -> None:
            self.log.append(name)
            self.now += host
            self.done = max(self.done, self.now) + seconds

        return run

    def Event(self, enable_timing: bool) -> Any:  # noqa: N802, torch's name
        """What torch.cuda.Event is."""
        gpu = self

        class Event:
            at = 0.0

            def record(self) -> None:
                gpu.log.append("event")
                self.at = max(gpu.done, gpu.now)

            def elapsed_time(self, other: Any) -> float:
                return (other.at - self.at) * 1e3

        assert enable_timing
        return Event()

    def synchronize(self) -> None:
        """Wait for the queue."""
        self.log.append("synchronize")
        self.now = max(self.now, self.done)


def test_a_sample_on_the_host_is_the_sum_of_its_calls() -> None:
    """Host and device are one and the same."""
    pretend = Pretend()

    sample = HostStopwatch(pretend.clock).sample([pretend.call("a", 1.0), pretend.call("b", 2.0)])

    assert Sample(host=3.0, device=3.0) == sample


def test_the_cache_is_flushed_outside_the_events_and_the_end_is_awaited() -> None:
    """synchronise, flush, event, work, event, synchronise: and the flush is in neither time."""
    gpu = PretendGPU()
    watch = CudaStopwatch(gpu.launch("flush", 5.0), cuda=gpu, clock=gpu.clock)

    sample = watch.sample([gpu.launch("a", 2.0, host=0.5), gpu.launch("b", 1.0, host=0.5)])

    order = ["synchronize", "flush", "event", "a", "b", "event", "synchronize"]
    assert order == gpu.log
    assert Sample(host=1.0, device=3.0) == sample


def test_what_the_gpu_waits_for_is_on_the_device_clock() -> None:
    """A host that is slower than the GPU leaves gaps, and they count."""
    gpu = PretendGPU()
    watch = CudaStopwatch(gpu.launch("flush", 0.5), cuda=gpu, clock=gpu.clock)

    sample = watch.sample([gpu.launch("a", 0.1, host=1.0), gpu.launch("b", 0.1, host=1.0)])

    assert sample.host == 2.0
    assert sample.device == pytest.approx(2.1 - 0.5)


def test_a_sample_holds_enough_work_and_inputs_take_turns() -> None:
    """1 ms of calls of 0.3 ms are four; three inputs go round from sample to sample, after the warm-up."""
    pretend = Pretend()
    calls = [pretend.call(name, 0.0003) for name in "abc"]

    times = timing.measure(calls, HostStopwatch(pretend.clock), least_seconds=1e-3, samples=3, warm_ups=2)

    assert ["a", "b", "c"] * 2 + list("abcabcabcabc") == pretend.log
    assert times.calls == 4
    assert len(times.device) == 3
    assert times.seconds == pytest.approx(0.0003)


def test_a_call_that_takes_no_time_does_not_go_on_for_ever() -> None:
    """A clock that stands still is met with a bound."""
    pretend = Pretend()

    times = timing.measure([pretend.call("a", 0.0)], HostStopwatch(pretend.clock), least_seconds=1e-3, samples=1)

    expected = timing.MOST_CALLS
    assert expected == times.calls


def test_after_enough_seconds_three_samples_will_do() -> None:
    """A call of a second is not run twenty times."""
    pretend = Pretend()

    times = timing.measure(
        [pretend.call("a", 1.0)], HostStopwatch(pretend.clock), least_seconds=1e-3, samples=20, most_seconds=0.5
    )

    assert len(times.device) == 3


def test_the_median_is_reported_and_the_least_is_kept() -> None:
    """One sample that something else disturbed moves neither."""
    times = Times(host=(0.1, 0.1, 0.4), device=(1.0, 2.0, 9.0), calls=1)

    seen = {"host": times.host_seconds, "median": times.seconds, "least": times.least}

    expected = {"host": 0.1, "median": 2.0, "least": 1.0}
    assert expected == seen
