"""What can be gated without a clock: operators, kernels of the compiled graph, bytes over the least, peak memory.

Exact and the same on every run, so that CI on a busy machine without a GPU can hold a change to them.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch

from sdtps_ref.benchmarks.timing import limits
from sdtps_ref.benchmarks.timing.counting import count
from sdtps_ref.benchmarks.workloads.cells import Cell
from sdtps_ref.benchmarks.workloads.implementations import Compiled
from sdtps_ref.benchmarks.workloads.workload import Workload
from sdtps_ref.benchmarks.workloads.workloads import make

# How inductor's code calls its own kernels, on the CPU and on a GPU, a library's, and torch's operators.
KERNEL_CALLS = re.compile(r"\b(?:extern_kernels\.\w+|cpp_fused\w*|triton_\w+\.run|torch\.ops\.[\w.]+|aten\.[\w.]+)\(")


@dataclass(frozen=True)
class Counted:
    """One cell. operators: by name, how often. kernels: None where the compiled graph was not counted, or has none.

    bytes: read and written by all operators; least_bytes: what any implementation moves; peak_bytes: held at once.
    """

    operators: dict[str, int]
    kernels: int | None
    bytes: int
    least_bytes: int
    peak_bytes: int

    @property
    def excess(self) -> float:
        """Bytes over the least."""
        return self.bytes / self.least_bytes

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def counted(implementation: Any, cell: Cell, *, kernels: bool = True) -> Counted:
    """Count one cell; kernels: also compile it. Raises InvalidInput for a stage that is not offered."""

    def workload(of: Any) -> Workload:
        return make(of, cell.stage, cell.size, cell.dtype, cell.device, rotated=1)

    eager = workload(implementation)
    call = eager.call(cell.mode)
    call()  # what a first call leaves behind is not the call's own
    counts = count(call)
    operators = dict(sorted(Counter(operator.name for operator in counts.operators).items()))
    itemsize = getattr(torch, cell.dtype).itemsize
    extra = getattr(eager.built(*eager.inputs[0].arguments), "extra_token", None) is not None
    least = limits.work(cell.stage, cell.mode, cell.size, extra=extra).bytes(itemsize)
    compiled = kernel_count(workload(Compiled(implementation)).call(cell.mode)) if kernels else None
    return Counted(operators, compiled, counts.bytes, least, counts.peak_bytes)


def kernel_count(call: Callable[[], Any]) -> int | None:
    """Calls of kernels, libraries and operators in the code that torch.compile makes of `call`; None where it fails."""
    import torch._inductor.config as config
    from torch._inductor.utils import run_and_get_code

    try:
        with config.patch(fx_graph_cache=False):  # what is found in a cache is not generated
            _, codes = run_and_get_code(call)
    except Exception:  # no compiler, or a graph that it refuses
        return None
    bodies = [code.partition("def call(")[2] for code in codes]
    return sum(len(KERNEL_CALLS.findall(body)) for body in bodies) or None
