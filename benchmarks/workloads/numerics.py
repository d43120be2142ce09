"""What is timed, at its full size and in its dtype, against the same code in float64 on the CPU."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from sdtps_ref.benchmarks.workloads.implementations import Subject
from sdtps_ref.benchmarks.workloads.sizes import Size
from sdtps_ref.benchmarks.workloads.workload import MODALITIES, Workload
from sdtps_ref.benchmarks.workloads.workloads import make

# Of the largest entry: what rounding leaves in chains of a few hundred terms. Zeros are off by 1.
ROUNDING = {"float64": 1e-8, "float32": 1e-3, "bfloat16": 1e-1, "float16": 2e-2}

OUTPUTS = {
    "selection": ("selected_tokens", "decision"),
    "aggregation": ("pooled tokens",),
    "pipeline": ("pooled tokens",),
    "multimodal": tuple(f"pooled tokens of {name}" for name in MODALITIES),
}
LEAVES = {
    "selection": ("tokens", "score"),
    "aggregation": ("tokens", "decision"),
    "pipeline": ("tokens", "score"),
    "multimodal": tuple(f"{what} of {name}" for what in ("tokens", "global feature") for name in MODALITIES),
}


def disagreement(subject: Subject, stage: str, size: Size, dtype: str, device: str, without_noise: bool = True) -> str:
    """Where results or gradients of the first and the last sample are not what float64 gives; empty if nowhere.

    In eval mode, where no noise stands between two dtypes. without_noise: whether that is so of this implementation;
    if not, gradients are not compared. The code in float64 on the CPU is what the laws have judged; what this adds is
    the size, the dtype, the device and the compiler.
    """
    try:
        timed = make(subject.implementation, stage, size, dtype, device, rotated=1, training=False)
        seen = _results(timed)
    except Exception as error:
        return f"raised {type(error).__name__}: {(str(error).strip() or 'no message').splitlines()[0]}"
    eager = subject.implementation if subject.eager is None else subject.eager
    owed = _results(in_float64(timed, eager, _ends))
    names = [*OUTPUTS[stage], *(f"gradient to {name}" for name in LEAVES[stage])]
    compared = names if without_noise else OUTPUTS[stage]
    for name, one, other in zip(compared, seen, owed, strict=False):
        gap, largest = float((one - other).abs().amax()), float(other.abs().amax())
        if largest == 0:
            return f"wrong at this size: {name} zero throughout"
        if not gap <= ROUNDING[dtype] * largest:  # NaN is never close
            return f"wrong at this size: {name} off by {gap:.2g} of {largest:.2g}"
    return ""


def in_float64(
    timed: Workload, eager: Any, of: Callable[[Tensor], Tensor] = lambda tensor: tensor.detach().double()
) -> Workload:
    """The same stage in float64, with the same weights and inputs.

    Args:
        timed: The workload.
        eager: Its implementation, not compiled.
        of: What is taken of each input and cotangent: all samples where they lie, or another part elsewhere.
    """
    cotangents = tuple(map(of, timed.inputs[0].cotangents))
    B, device = len(cotangents[0]), str(cotangents[0].device)
    size = replace(timed.size, B=B)
    exact = make(eager, timed.stage, size, "float64", device, rotated=1, training=False)
    with torch.no_grad():
        for wide, narrow in zip(exact.parameters, timed.parameters, strict=True):
            wide.copy_(narrow)
        for wide, narrow in zip(exact.inputs[0].leaves, timed.inputs[0].leaves, strict=True):
            wide.copy_(of(narrow))
    return replace(exact, inputs=(replace(exact.inputs[0], cotangents=cotangents),))


def _ends(tensor: Tensor) -> Tensor:
    """The first and the last sample, in float64 on the CPU."""
    rows = torch.stack([tensor[0], tensor[-1]]) if len(tensor) > 1 else tensor
    return rows.detach().cpu().double()


def _results(workload: Workload) -> list[Tensor]:
    """Outputs, then gradients to the inputs, of the first and the last sample."""
    outputs = workload.forward()
    leaves = len(workload.inputs[0].leaves)
    gradients = workload.gradients(outputs)[:leaves]
    pairs = zip(gradients, workload.inputs[0].leaves, strict=True)
    found = [torch.zeros_like(leaf) if gradient is None else gradient for gradient, leaf in pairs]
    return [_ends(part) for part in (*outputs, *found)]
