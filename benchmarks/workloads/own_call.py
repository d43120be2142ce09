"""The call of somebody's own module as a workload: at its own sizes, with the arguments of its example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from sdtps_ref.benchmarks.workloads.sizes import OWN
from sdtps_ref.benchmarks.workloads.workload import Inputs, Workload
from sdtps_ref.errors import InvalidInput
from sdtps_ref.properties.contract import CALL
from sdtps_ref.properties.kit.differences import tensors_of
from sdtps_ref.properties.kit.values import draw
from sdtps_ref.properties.watching.subject import Subject


@dataclass
class Called:
    """A module that is called with positional and named arguments in one."""

    module: nn.Module

    def __call__(self, given: list[Any], named: dict[str, Any]) -> tuple[Tensor, ...]:
        """The floating tensors of what it returns, in order."""
        return tuple(tensors_of(self.module(*given, **named)))


def call_of(implementation: Any, dtype: str, device: str, *, rotated: int, training: bool) -> Workload:
    """The call with `rotated` inputs.

    dtype: "float32" is whatever the example is in; another one is what it is turned to. Raises InvalidInput where the
    example is a function without a module, or a module that cannot be copied.
    """
    copied: Subject | None = implementation.subject.copy()
    if copied is None or copied.module is None:
        raise InvalidInput.given(f"a call of {implementation.subject.name}", "of a module, which can be copied")
    module = copied.module.train(training).to(device)
    if dtype != "float32":
        module.to(getattr(torch, dtype))
    built = Called(module)
    inputs = tuple(_inputs(copied, built, dtype, device, seed) for seed in range(rotated))
    trained = dict.fromkeys(parameter for parameter in module.parameters() if parameter.requires_grad)
    return Workload(copied.name, CALL, OWN, dtype, device, built, tuple(trained), inputs)


def _inputs(subject: Subject, built: Called, dtype: str, device: str, seed: int) -> Inputs:
    def placed(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        moved = value.detach().to(device)
        if not moved.is_floating_point():
            return moved
        return (moved if dtype == "float32" else moved.to(getattr(torch, dtype))).requires_grad_()

    given, named = tree_map(placed, subject.inputs(seed))
    leaves = tuple(part for part in tree_leaves((given, named)) if isinstance(part, Tensor) and part.requires_grad)
    with torch.random.fork_rng():
        returned = built(given, named)
    cotangents = tuple(draw("normal", tuple(part.shape), i).to(part) for i, part in enumerate(returned))
    return Inputs((given, named), leaves, cotangents)
