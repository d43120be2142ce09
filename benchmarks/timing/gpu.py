"""What only a GPU has: kernels seen by the profiler, a CUDA graph to replay, and an allocator that knows its peak.

Kept small, and every use of torch.cuda goes through an argument: the logic is tested where there is no GPU.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from sdtps_ref.benchmarks.timing.timing import Call

# A graph is captured from a stream of its own; autograd runs a backward pass on the stream of its forward pass.
NOT_REPLAYED = "the backward pass alone belongs to the stream of its forward pass"


@dataclass(frozen=True)
class Kernels:
    """Kernels, copies and fills of one call, and the seconds in which the GPU ran one."""

    count: int
    busy: float


def kernels(call: Call, cuda: Any = torch.cuda, profiled: Callable[..., Any] = profile) -> Kernels:
    """Of one call, as torch.profiler sees it."""
    call()  # what is loaded or tuned at first is not counted
    cuda.synchronize()
    with profiled(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        call()
        cuda.synchronize()
    ran = [
        event
        for event in seen.events()
        if event.device_type == DeviceType.CUDA and not getattr(event, "is_user_annotation", False)
    ]
    return Kernels(len(ran), sum(event.time_range.elapsed_us() for event in ran) / 1e6)


def peak_bytes(call: Call, cuda: Any = torch.cuda) -> int:
    """The most that the allocator held during the call, beyond what it held before."""
    cuda.synchronize()
    before = cuda.memory_allocated()
    cuda.reset_peak_memory_stats()
    call()
    cuda.synchronize()
    return cuda.max_memory_allocated() - before


def replayed(call: Call, mode: str, cuda: Any = torch.cuda) -> tuple[Call | None, str]:
    """The call captured as a CUDA graph, to replay; or None and why, in one line.

    What asks a value of the GPU while it runs (a check for NaN, say) cannot be captured, and is found out before it
    is tried: a capture that fails halfway can leave the random generator unusable. Every replay draws new
    noise: torch gives the graph a fresh offset into the generator.
    """
    if mode == "backward":
        return None, NOT_REPLAYED
    graph = cuda.CUDAGraph()
    aside = cuda.Stream()
    aside.wait_stream(cuda.current_stream())
    try:
        with cuda.stream(aside):  # three times, as torch's notes on CUDA graphs have it
            for _ in range(3):
                call()
        cuda.current_stream().wait_stream(aside)
        _must_not_wait(call, cuda)
        with cuda.graph(graph):
            call()
    except Exception as error:  # whatever it is, there is no graph, and the other columns stand
        cuda.synchronize()
        return None, (str(error).strip() or type(error).__name__).splitlines()[0]
    return graph.replay, ""


def _must_not_wait(call: Call, cuda: Any) -> None:
    """Raises RuntimeError if the call makes the host wait for the GPU; torch watches for that when asked."""
    was = cuda.get_sync_debug_mode()
    cuda.set_sync_debug_mode("error")
    try:
        call()
    finally:
        cuda.set_sync_debug_mode(was)
