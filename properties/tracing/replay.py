"""Recorded calls made again, with another value of one result: in float64, and without touching the model.

A training step must not be run twice. But from D to the pooled tokens it is a handful of calls, all of whose other
arguments are known: made again with a token taken away, they tell what that does. Random draws are not repeated, what
is written in place is written into copies, and casts to a lower precision are left out, so that a difference can be
told from rounding.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from sdtps_ref.properties.tracing.step_watch import StepWatch
from sdtps_ref.properties.watching.graph import Graph
from sdtps_ref.properties.watching.record import IN_PLACE, Call, tensors_in
from sdtps_ref.properties.watching.storage import is_there

CASTS = {"to", "float", "double", "half", "bfloat16", "type", "type_as"}
DRAWS = {"rand_like", "randn_like", "bernoulli", "bernoulli_", "exponential_", "uniform_", "normal_", "multinomial",
         "rand", "randn", "geometric_", "cauchy_", "log_normal_", "random_"}  # fmt: skip
DROPS = {"dropout", "dropout_", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"}
OVERWRITES = {"__setitem__", "scatter_", "index_fill_", "masked_fill_", "copy_", "fill_", "index_put_", "index_copy_"}
LEAVES_TORCH = {"item", "tolist", "numpy", "__array__", "__repr__", "__bool__", "__float__", "__int__"}
HALF = (torch.float16, torch.bfloat16, torch.float32)


class CannotReplay(Exception):
    """A recorded call cannot be made again without side effects."""


class Replay:
    """The calls of a step, ready to be made again in part."""

    def __init__(self, watch: StepWatch, graph: Graph):
        self.watch, self.graph = watch, graph
        self._copies: dict[int, Tensor] = {}

    def again(
        self, answers: Mapping[int, Callable[[Any], Any]], last: int, leaves: Iterable[int] = ()
    ) -> dict[int, list[Tensor]]:
        """The tensors of every call up to `last` that depends on an answered one, or on a leaf, by number.

        answers: by call number, what replaces its result. leaves: calls whose results require grad anew.
        """
        replaced: dict[int, Tensor] = {}
        results: dict[int, list[Tensor]] = {}
        calls = self.watch.calls
        starts = sorted({*answers, *leaves})
        for number in starts:
            own = calls[number].tensors
            values = [self._copy(t) for t in own]
            if number in answers:
                values = [answers[number](value) if value.is_floating_point() else value for value in values]
            else:
                values = [v.detach().clone().requires_grad_() if v.is_floating_point() else v for v in values]
            results[number] = values
            replaced.update({id(t): v for t, v in zip(own, values, strict=True)})
        fixed = set(starts)
        device = next((t.device for n in starts for t in calls[n].tensors), torch.device("cpu"))
        gpus = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(devices=gpus), torch.enable_grad(), _no_autocast(device.type):
            for number in range(starts[0] + 1 if starts else 0, last + 1):
                if number in fixed or not any(self.graph.depends(number, start) for start in starts):
                    continue
                found = self._call(calls[number], replaced)
                if found is not None:
                    results[number] = found
        return results

    def _copy(self, tensor: Tensor) -> Tensor:
        """The recorded tensor in float64, cut off from its graph; integers as they are."""
        if id(tensor) not in self._copies:
            if not is_there(tensor):
                raise CannotReplay("a parameter was freed after the forward pass, as FSDP does")
            own = tensor.detach()
            self._copies[id(tensor)] = own.to(torch.float64, copy=True) if own.is_floating_point() else own
        return self._copies[id(tensor)]

    def _call(self, call: Call, replaced: dict[int, Tensor]) -> list[Tensor] | None:
        name, own = call.name, call.tensors
        if name in DRAWS:  # what is drawn into memory that was made again is what was drawn
            replaced.update({id(t): self._copy(t) for t in own if id(t) in replaced})
        if name in LEAVES_TORCH or name in DRAWS or not any(id(t) in replaced for t in call.read):
            return None

        def value(part: Any) -> Any:
            if isinstance(part, Tensor):
                return replaced[id(part)] if id(part) in replaced else self._copy(part)
            return torch.float64 if part in HALF and isinstance(part, torch.dtype) else part

        if name in CASTS and own and own[0].is_floating_point():
            made: Any = value(call.args[0])
        elif name in DROPS:
            before, after = self._copy(call.read[0]), self._copy(own[0])
            made = value(call.read[0]) * torch.where(before == 0, torch.ones_like(before), after / before)
        else:
            args, kwargs = tree_map(value, call.args), tree_map(value, dict(call.kwargs))
            if "dropout_p" in kwargs:
                kwargs["dropout_p"] = 0.0
            if name in IN_PLACE or (name.endswith("_") and not name.startswith("__")) or "out" in kwargs:
                args = self._written(call, args, replaced)
            made = self.watch.functions[call.number](*args, **kwargs)
            made = args[0] if name == "__setitem__" else made
        values = [made] if isinstance(made, Tensor) else tensors_in(made)
        if len(values) != len(own):
            raise CannotReplay(f"{name} returned {len(values)} tensors, and {len(own)} the first time")
        replaced.update({id(t): v for t, v in zip(own, values, strict=True)})
        return values

    def _written(self, call: Call, args: tuple[Any, ...], replaced: dict[int, Tensor]) -> tuple[Any, ...]:
        """The arguments of a call that writes into its first one, which becomes a copy."""
        target = call.args[0]
        if "out" in call.kwargs or target._is_view():
            raise CannotReplay(f"{call.name} writes into a part of another tensor")
        if id(target) not in replaced and call.name not in OVERWRITES:
            raise CannotReplay(f"{call.name} writes into what it reads")
        own = args[0].clone()
        replaced[id(target)] = own
        return (own, *args[1:])


def _no_autocast(device: str) -> contextlib.AbstractContextManager[Any]:
    return torch.autocast(device, enabled=False) if device in ("cpu", "cuda", "xpu") else contextlib.nullcontext()
