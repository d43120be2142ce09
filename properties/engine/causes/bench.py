"""The implementation on the bench: small float64 cases in which everything can be read, each built once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.kit import jacobians, values
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.targets.adapters import Adapted

# C > K, so that weights can be read off pooled tokens; no two sizes are the same, so that a shape tells what it is.
USUAL = Case(batch=3, num_tokens=7, keep=4, dim=8, slots=2, tau=0.5, dtype="float64", scores="distinct", seed=11)


class Bench:
    """Cases that differ from the usual one by what is asked for."""

    def __init__(self, implementation: Any, methods: Sequence[str], device: str = "cpu"):
        self.implementation, self.methods, self.device = implementation, methods, device
        self._probes: dict[Case, Probe] = {}

    def probe(self, **changes: Any) -> Probe:
        """The implementation on the usual case with `changes`."""
        case = replace(USUAL, device=self.device, **changes)
        if isinstance(self.implementation, Adapted):
            case = self.implementation.fitted(case)
        if case not in self._probes:
            self._probes[case] = Probe(self.implementation, case)
        return self._probes[case]

    def has(self, *methods: str) -> bool:
        """Whether the implementation has these methods of the contract."""
        return set(methods) <= set(self.methods)

    @cached_property
    def decision_jacobian(self) -> Tensor:
        """d D[b, e] / d score[c, n] in train mode: B N B N."""
        probe = self.probe()
        return full_jacobian(probe.select().decision, probe.score)

    @cached_property
    def pooled_jacobian(self) -> Tensor:
        """d pooled[b, m, c] / d score[b, n] in train mode: B M*C N."""
        probe = self.probe()
        return jacobians.jacobian(probe.pool(), probe.score)


def full_jacobian(output: Tensor, source: Tensor) -> Tensor:
    """The gradient of every entry of the output, those of all samples, to all of the source."""
    rows = []
    for entry in range(output.numel()):
        one_hot = torch.zeros(output.numel(), dtype=output.dtype, device=output.device)
        one_hot[entry] = 1.0
        rows.append(values.gradient(output, source, one_hot.view(output.shape)))
    return torch.stack(rows).view(*output.shape, *source.shape)


def relative(one: Tensor, other: Tensor) -> float:
    """How far apart two tensors are, in the largest entry of the second."""
    if one.shape != other.shape:
        return float("inf")
    scale = float(other.detach().double().abs().amax()) if other.numel() else 1.0
    apart = float((one.detach().double() - other.detach().double()).abs().amax()) if one.numel() else 0.0
    return apart / max(scale, 1e-300)


def same(one: Tensor, other: Tensor, tolerance: float = 1e-6) -> bool:
    """Whether two tensors are the same to within rounding."""
    return relative(one, other) <= tolerance
