"""Timing on a clock that is not real, and a GPU that is not there: the order of things, and how many of them."""

import gc
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sdtps_ref.benchmarks.timing import timing
from sdtps_ref.benchmarks.timing.clock import CudaClock, HostClock, OnCoreClock, clock_for
from sdtps_ref.benchmarks.timing.timing import Sample, Subject, Times


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
    """Host and device are one and the same; what is done after the calls is apart."""
    pretend = Pretend()
    calls = [pretend.call("a", 1.0), pretend.call("b", 2.0)]

    sample = Subject(calls, per_sample=2, after=pretend.call("after", 0.5)).sample(HostClock(pretend.clock), 0)

    assert Sample(host=3.0, device=3.0, after=0.5) == sample
    assert sample.whole == 3.5


def test_the_cache_is_flushed_outside_the_events_and_the_end_is_awaited() -> None:
    """synchronise, flush, event, work, event, synchronise: and the flush is in neither time."""
    gpu = PretendGPU()
    clock = CudaClock(gpu.launch("flush", 5.0), cuda=gpu, now=gpu.clock)
    calls = [gpu.launch("a", 2.0, host=0.5), gpu.launch("b", 1.0, host=0.5)]

    sample = Subject(calls, per_sample=2).sample(clock, 0)

    order = ["synchronize", "flush", "event", "a", "b", "event", "synchronize"]
    assert order == gpu.log
    assert Sample(host=1.0, device=3.0) == sample


def test_work_after_the_calls_is_timed_by_events_of_its_own() -> None:
    """The gate slows a subject by it, on a GPU too."""
    gpu = PretendGPU()
    clock = CudaClock(gpu.launch("flush", 5.0), cuda=gpu, now=gpu.clock)

    sample = Subject([gpu.launch("a", 2.0, host=0.5)], after=gpu.launch("after", 0.25)).sample(clock, 0)

    assert gpu.log.count("event") == 3
    assert Sample(host=0.5, device=2.0, after=0.25) == sample


def test_what_the_gpu_waits_for_is_on_the_device_clock() -> None:
    """A host that is slower than the GPU leaves gaps, and they count."""
    gpu = PretendGPU()
    clock = CudaClock(gpu.launch("flush", 0.5), cuda=gpu, now=gpu.clock)
    calls = [gpu.launch("a", 0.1, host=1.0), gpu.launch("b", 0.1, host=1.0)]

    sample = Subject(calls, per_sample=2).sample(clock, 0)

    assert sample.host == 2.0
    assert sample.device == pytest.approx(2.1 - 0.5)


def test_waiting_for_a_core_is_left_out_and_sleep_is_not(tmp_path: Path) -> None:
    """The kernel's count of waiting is taken off the clock; a wait between two readings is read again."""
    pretend, scheduled = Pretend(), tmp_path / "schedstat"
    scheduled.write_text("7 1000000000 3\n")
    waits = iter(["7 3000000000 3\n"])

    def now() -> float:
        scheduled.write_text(next(waits, scheduled.read_text()))
        return pretend.now

    clock = OnCoreClock(now, str(scheduled))
    begin = clock.mark()
    pretend.now += 10.0  # of which the thread waited four for a core
    scheduled.write_text("7 7000000000 4\n")

    assert begin == -3.0
    assert clock.device_seconds(begin, clock.mark()) == 6.0


def test_only_a_single_thread_is_timed_on_its_core() -> None:
    """What other threads wait is not seen from here."""
    kinds = {type(clock_for("cpu", threads)) for threads in (2, 4)}

    assert kinds == {HostClock}


def test_a_sample_holds_enough_work_and_inputs_take_turns() -> None:
    """1 ms of calls of 0.3 ms are four; three inputs go round from sample to sample, after the warm-up."""
    pretend = Pretend()
    calls = [pretend.call(name, 0.0003) for name in "abc"]

    times = timing.measure(calls, HostClock(pretend.clock), least=1e-3, samples=3)

    probed = ["a", "b", "c"] * timing.WARM_UPS + list("abcabcabcabc")
    assert probed + list("abcabcabcabc") == pretend.log
    assert times.calls == 4
    assert len(times.device) == 3
    assert times.seconds == pytest.approx(0.0003)


def test_a_first_call_that_takes_long_does_not_shorten_the_samples() -> None:
    """Tuning and loading are not the call's own: the shortest of the first ones tells how many fill a sample."""
    pretend = Pretend()
    first = iter([5.0])

    def call() -> None:
        pretend.now += next(first, 1e-4)

    assert timing.warmed_up([call], HostClock(pretend.clock), least=1e-3).per_sample == pytest.approx(10, abs=1)


def test_a_call_that_takes_no_time_does_not_go_on_for_ever() -> None:
    """A clock that stands still is met with a bound."""
    pretend = Pretend()

    times = timing.measure([pretend.call("a", 0.0)], HostClock(pretend.clock), least=1e-3, samples=1)

    expected = timing.MOST_CALLS
    assert expected == times.calls


def test_after_enough_seconds_three_samples_will_do() -> None:
    """A call of a second is not run twenty times."""
    pretend = Pretend()

    times = timing.measure([pretend.call("a", 1.0)], HostClock(pretend.clock), least=1e-3, samples=20, most_seconds=0.5)

    assert len(times.device) == 3


def test_in_every_round_each_subject_has_its_turn_in_a_new_order() -> None:
    """Whatever drifts meets them alike; what comes back is in the order that was given, and garbage waits."""
    pretend = Pretend()
    collecting: list[bool] = []
    subjects = [Subject([pretend.call(name, seconds)]) for name, seconds in (("a", 1.0), ("b", 2.0), ("c", 4.0))]
    subjects[0] = Subject([*subjects[0].calls, lambda: collecting.append(gc.isenabled())], per_sample=2)

    taken = timing.in_turns(subjects, HostClock(pretend.clock), rounds=20, rng=random.Random(0))

    orders = {tuple(pretend.log[place : place + 3]) for place in range(0, 60, 3)}
    assert [tuple(sample.device for sample in samples) for samples in taken] == [(1.0, 2.0, 4.0)] * 20
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)
    assert len(orders) > 1
    assert (set(collecting), gc.isenabled()) == ({False}, True)


def test_the_median_is_reported_and_the_least_is_kept() -> None:
    """One sample that something else disturbed moves neither."""
    times = Times(host=(0.1, 0.1, 0.4), device=(1.0, 2.0, 9.0), calls=1)

    seen = {"host": times.host_seconds, "median": times.seconds, "least": times.least}

    expected = {"host": 0.1, "median": 2.0, "least": 1.0}
    assert expected == seen
