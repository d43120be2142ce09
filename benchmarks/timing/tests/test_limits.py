"""The formulas are held to torch's own counter of FLOPs, and the bytes to what is read and written."""

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from sdtps_ref.benchmarks.timing import limits
from sdtps_ref.benchmarks.workloads import workloads
from sdtps_ref.benchmarks.workloads.sizes import EVERYDAY, Size
from sdtps_ref.benchmarks.workloads.workload import MODES, Workload
from sdtps_ref.benchmarks.workloads.workloads import STAGES
from sdtps_ref.properties.reference import Reference

SIZES = [Size(2, 10, 4, 40, 3), EVERYDAY[0]]


def counted(workload: Workload, mode: str) -> int:
    """FLOPs by torch's counter. It cannot watch torch.autograd.grad, so gradients are accumulated instead."""
    with FlopCounterMode(display=False) as forward:
        outputs = workload.forward()
    with FlopCounterMode(display=False) as backward:
        torch.autograd.backward(outputs, workload.inputs[0].cotangents)
    flops = {"forward": forward.get_total_flops(), "backward": backward.get_total_flops()}
    return sum(flops.values()) if mode == "forward+backward" else flops[mode]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("stage", STAGES)
def test_flops_are_those_that_torch_counts(stage: str, mode: str, size: Size) -> None:
    """Exactly; the reference's pipeline also computes the extra token, which nothing asks of a pipeline."""
    workload = workloads.make(Reference("log"), stage, size, "float32", "cpu")
    unasked = limits.extra_token_flops(size) if stage == "pipeline" and mode != "backward" else 0

    formula = limits.work(stage, mode, size, extra=True).flops + unasked

    assert counted(workload, mode) == formula


def test_flops_are_those_that_the_paper_says() -> None:
    """2 B K (C H + H M + M C) forward at B=4, K=64, C=512, H=102, M=25, worked out by hand; backward twice that."""
    forward, backward, both = (limits.work("pipeline", mode, EVERYDAY[0]).flops for mode in MODES)

    assert forward == 2 * 4 * 64 * (512 * 102 + 102 * 25 + 25 * 512) == 34_597_888
    assert (backward, both) == (2 * forward, 3 * forward)


def sizes_of(tensors: Any) -> int:
    """Entries of all of them."""
    return sum(tensor.numel() for tensor in tensors)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("stage", STAGES)
def test_least_bytes_are_inputs_and_results(stage: str, size: Size) -> None:
    """Counted on the tensors themselves: what must be read of the inputs, all outputs, a gradient for every source."""
    workload = workloads.make(Reference("log"), stage, size, "float32", "cpu")
    leaves, parameters = sizes_of(workload.inputs[0].leaves), sizes_of(workload.parameters)
    outputs = sizes_of(workload.forward())
    dropped = size.B * (size.N - size.K) * size.C
    unread = {"selection": dropped, "pipeline": dropped}.get(stage, 0)
    rows = {"aggregation": size.B * size.K, "pipeline": size.B * size.N}.get(stage, 0)  # D or scores: read once
    again = 0 if stage == "selection" else leaves - unread - rows + parameters

    seen = [limits.work(stage, mode, size).elements for mode in MODES]

    forward = leaves - unread + parameters + outputs
    backward = again + outputs + leaves + parameters
    assert [forward, backward, forward + backward - again] == seen


def test_an_extra_token_is_more_work() -> None:
    """A selector that returns one reads the dropped tokens and multiplies them by a row of weights."""
    size = EVERYDAY[0]

    without, with_extra = (limits.work("selection", "forward", size, extra=extra) for extra in (False, True))

    assert without.flops == 0
    assert with_extra.flops == 2 * 4 * 64 * 512
    assert with_extra.elements - without.elements == 4 * 64 * 512 + 4 * 512


def test_bytes_follow_the_dtype() -> None:
    """bfloat16 moves half of what float32 moves."""
    work = limits.work("pipeline", "forward", EVERYDAY[0])

    assert work.bytes(4) == 2 * work.bytes(2) == 4 * work.elements
