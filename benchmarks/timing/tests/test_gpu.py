"""What only a GPU has, on one that is not there: the order of things, and that a failure loses nothing."""

import contextlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.autograd import DeviceType

from sdtps_ref.benchmarks.timing import gpu
from sdtps_ref.benchmarks.timing.gpu import Kernels


class PretendCuda:
    """torch.cuda, as far as it is used here; `captures` says whether a graph can be made."""

    def __init__(self, captures: bool = True) -> None:
        self.log: list[str] = []
        self.captures, self.watched = captures, 0
        self.allocated = self.peak = 1000

    def note(self, name: str) -> None:
        """Remember that it was called."""
        self.log.append(name)

    def synchronize(self) -> None:
        """Wait."""
        self.note("synchronize")

    def get_sync_debug_mode(self) -> int:
        """Whether torch watches for calls that make the host wait: 0 for no, 2 for an error."""
        return self.watched

    def set_sync_debug_mode(self, mode: Any) -> None:
        """Begin or end."""
        self.watched = 2 if mode == "error" else mode
        self.note("watch" if self.watched else "watch no more")

    def memory_allocated(self) -> int:
        """Bytes now."""
        return self.allocated

    def reset_peak_memory_stats(self) -> None:
        """The peak is what is allocated now."""
        self.peak = self.allocated

    def max_memory_allocated(self) -> int:
        """Bytes at the peak."""
        return self.peak

    def Stream(self) -> Any:  # noqa: N802, torch's name
        """A stream."""
        return SimpleNamespace(wait_stream=lambda other: self.note("aside waits"))

    def current_stream(self) -> Any:
        """The usual stream."""
        return SimpleNamespace(wait_stream=lambda other: self.note("usual waits"))

    def CUDAGraph(self) -> Any:  # noqa: N802, torch's name
        """A graph."""
        return SimpleNamespace(replay=lambda: self.note("replay"))

    @contextlib.contextmanager
    def stream(self, aside: Any) -> Iterator[None]:
        """On another stream."""
        self.note("aside")
        yield
        self.note("back")

    @contextlib.contextmanager
    def graph(self, graph: Any) -> Iterator[None]:
        """Capture."""
        self.note("capture")
        yield

    def call(self) -> None:
        """Work; it waits for a value if it cannot be captured."""
        if self.watched and not self.captures:
            raise RuntimeError("called a synchronizing CUDA operation\nmore lines")
        self.note("call")


def test_a_graph_is_captured_after_a_warm_up_on_a_stream_of_its_own() -> None:
    """As torch's notes on CUDA graphs have it; what comes back replays."""
    cuda = PretendCuda()

    replay, why = gpu.replayed(cuda.call, "forward", cuda)

    assert why == ""
    assert replay is not None
    replay()
    warm_up = ["aside waits", "aside", *["call"] * 3, "back", "usual waits"]
    expected = [*warm_up, "watch", "call", "watch no more", "capture", "call", "replay"]
    assert expected == cuda.log


@pytest.mark.parametrize(
    ("mode", "captures", "expected"),
    [("forward", False, "called a synchronizing CUDA operation"), ("backward", True, gpu.NOT_REPLAYED)],
)
def test_what_cannot_be_captured_says_why_in_one_line(mode: str, captures: bool, expected: str) -> None:
    """The other columns stand."""
    cuda = PretendCuda(captures)

    replay, why = gpu.replayed(cuda.call, mode, cuda)

    assert replay is None
    assert expected == why
    assert "capture" not in cuda.log
    assert cuda.watched == 0


def test_peak_memory_is_beyond_what_was_held_before() -> None:
    """Weights and inputs do not count."""
    cuda = PretendCuda()

    def work() -> None:
        cuda.peak = cuda.allocated + 640

    peak = gpu.peak_bytes(work, cuda)

    assert peak == 640


def test_kernels_are_the_events_of_the_gpu() -> None:
    """Neither what the host did nor a user's annotation; busy is the sum of their times."""
    cuda = PretendCuda()

    def event(kind: DeviceType, micros: float, annotation: bool = False) -> Any:
        elapsed: Callable[[], float] = lambda: micros  # noqa: E731
        span = SimpleNamespace(elapsed_us=elapsed)
        return SimpleNamespace(device_type=kind, time_range=span, is_user_annotation=annotation)

    events = [event(DeviceType.CUDA, 5.0), event(DeviceType.CPU, 90.0), event(DeviceType.CUDA, 7.0)]
    events.append(event(DeviceType.CUDA, 100.0, annotation=True))

    @contextlib.contextmanager
    def profiled(activities: Any) -> Iterator[Any]:
        cuda.note("profile")
        yield SimpleNamespace(events=lambda: events)

    seen = gpu.kernels(cuda.call, cuda, profiled)

    assert Kernels(2, pytest.approx(12e-6)) == seen
    assert cuda.log == ["call", "synchronize", "profile", "call", "synchronize"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU: torch.cuda.is_available() is False")
def test_on_a_gpu() -> None:
    """A product of matrices is one kernel or more, can be replayed, and holds its result."""
    one = torch.ones(512, 512, device="cuda")

    def work() -> Any:
        return one @ one

    replay, why = gpu.replayed(work, "forward")

    assert (why, replay is None) == ("", False)
    assert gpu.kernels(work).count >= 1
    assert gpu.peak_bytes(work) >= 4 * 512 * 512
