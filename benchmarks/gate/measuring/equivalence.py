"""Do both sides give the same answer? A wrong one has no speed. `sdtps certify` says whether it is the right answer."""

from dataclasses import replace

import torch
from torch import Tensor

from sdtps_ref.benchmarks.gate.measuring.isolated_import import Copy
from sdtps_ref.benchmarks.workloads.cells import Cell
from sdtps_ref.benchmarks.workloads.numerics import LEAVES, OUTPUTS, in_float64
from sdtps_ref.benchmarks.workloads.workload import Workload
from sdtps_ref.benchmarks.workloads.workloads import make
from sdtps_ref.errors import SDTPSError
from sdtps_ref.properties.contract import CALL
from sdtps_ref.properties.kit.values import modules_in

# How many times BASE's own rounding error HEAD may be away: another order of summation makes another error, of like
# size. And as many units in the last place of the largest entry, for a BASE that happens to be exact.
BUDGET = 8


class Different(SDTPSError):
    """BASE and HEAD compute different things; the message is one line."""


def check_same(cell: Cell, base: Copy, head: Copy) -> None:
    """Hold HEAD's outputs, and where the mode asks for gradients those of the inputs, to an error budget from float64.

    In eval mode, where the gradient is that of the noiseless softmax: both sides may draw their noise as they like.
    Raises Different.
    """
    with base.active():
        owned = _of(cell, base)
        owed, precise = _answers(cell, owned), _answers(cell, in_float64(owned, base.implementation))
    with head.active():
        seen = _answers(cell, replace(with_weights(_of(cell, head), owned), inputs=owned.inputs))
    if len(seen) != len(owed):
        raise Different(f"{cell}: HEAD returns {len(seen)} results, BASE {len(owed)}")
    for name, from_head, from_base, true in zip(_names(cell, owned), seen, owed, precise, strict=True):
        if from_head is None or from_base is None or from_head.shape != from_base.shape:
            if from_head is from_base:
                continue
            raise Different(f"{cell}: {name} is {_shown(from_head)} from HEAD, {_shown(from_base)} from BASE")
        assert true is not None  # it is BASE's own code
        error = _distance(from_base, true)
        allowed = BUDGET * (error + torch.finfo(from_base.dtype).eps * float(true.detach().abs().max()))
        away = _distance(from_head, true)
        if not away <= allowed:  # NaN is not within
            raise Different(
                f"{cell}: HEAD's {name} is {away:.3g} away from BASE's in float64, where {allowed:.3g} is within the "
                f"error budget (BASE itself is {error:.3g} away); there is no comparing the speed of different things"
            )


def with_weights(workload: Workload, source: Workload) -> Workload:
    """`workload` with the weights of `source`, where its modules have the same parameters. In place."""
    for module, given in zip(modules_in(workload.built), modules_in(source.built), strict=False):
        own, state = module.state_dict(), given.state_dict()
        if {name: value.shape for name, value in own.items()} == {name: value.shape for name, value in state.items()}:
            module.load_state_dict(state)
    return workload


def _of(cell: Cell, copy: Copy) -> Workload:
    return make(copy.implementation, cell.stage, cell.size, cell.dtype, cell.device, rotated=1, training=False)


def _answers(cell: Cell, workload: Workload) -> tuple[Tensor | None, ...]:
    outputs = workload.forward()
    if cell.mode == "forward":
        return outputs
    leaves = workload.inputs[0].leaves
    return (*outputs, *workload.gradients(outputs)[: len(leaves)])


def _names(cell: Cell, owned: Workload) -> list[str]:
    if cell.stage == CALL:
        given = owned.inputs[0]
        results = [f"result {number}" for number in range(1, len(given.cotangents) + 1)]
        leaves = [f"gradient to argument {number}" for number in range(1, len(given.leaves) + 1)]
        return results if cell.mode == "forward" else [*results, *leaves]
    gradients = [f"gradient to {leaf}" for leaf in LEAVES[cell.stage]] if cell.mode != "forward" else []
    return [*OUTPUTS[cell.stage], *gradients]


def _distance(one: Tensor, other: Tensor) -> float:
    return float((one.detach().double() - other.detach().double()).abs().max())


def _shown(value: Tensor | None) -> str:
    return "absent" if value is None else f"of shape {tuple(value.shape)}"
