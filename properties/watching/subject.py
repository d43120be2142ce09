"""What is judged: a module and the arguments of one call, however it was come by."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from sdtps_ref.properties.watching.reading import Reading, read
from sdtps_ref.properties.watching.recipe import Recipe


@dataclass(eq=False)
class Subject:
    """A module, or a function, with the arguments of one call.

    make: the arguments of one call, from a seed. told: how it was built and called, for the report. switches:
    arguments that were turned on, which are off by default; by_default: the same call of what is built without them.
    enabled: arguments that were given because with their defaults no token would be dropped. rebuild: makes the module
    once more, with whatever weights.
    """

    name: str
    callable: Callable[..., Any]
    make: Callable[[int], tuple[list[Any], dict[str, Any]]]
    module: nn.Module | None = None
    told: str = ""
    switches: list[str] = field(default_factory=list)
    by_default: Subject | None = None
    enabled: list[str] = field(default_factory=list)
    recipe: Recipe | None = None  # how the call is written down; None for a closure
    rebuild: Callable[[], Any] | None = None

    def copy(self) -> Subject | None:
        """The same with a module of its own, in the same state; None where it cannot be copied."""
        if self.module is None or self.callable is not self.module:
            return None
        held = [value for part in self.module.modules() for value in (*vars(part).values(), *part._buffers.values())]
        graphs = [value for value in held if isinstance(value, Tensor) and value.grad_fn is not None]
        try:  # what holds on to the graph of an earlier pass cannot be copied with it
            module = copy.deepcopy(self.module, {id(value): value.detach().clone() for value in graphs})
        except Exception:
            return None
        return replace(self, callable=module, module=module)

    def fresh(self) -> Subject | None:
        """The same with a module that was never called, with the same weights; else a copy, where there is one."""
        if self.rebuild is None or self.module is None or self.callable is not self.module:
            return self.copy()
        try:
            with torch.random.fork_rng(devices=[]):
                module = self.rebuild()
            module.load_state_dict(self.module.state_dict())
        except Exception:
            return self.copy()
        return replace(self, callable=module, module=module)

    def inputs(
        self, seed: int = 0, same: bool = False, changed: bool = False, frozen: bool = False
    ) -> tuple[list[Any], dict[str, Any]]:
        """The arguments, floating tensors among them requiring grad unless they are frozen. same: the first sample in
        place of every other; changed: other values, also where the arguments are the same for every seed; lengths and
        masks of the samples in another order."""

        def prepared(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            if same and value.dim() > 0 and value.shape[0] > 1:
                value = value[:1].expand_as(value).clone()
            if not value.is_floating_point():
                return value.flip(0) if changed and value.dim() in (1, 2) else value
            made = value.detach().clone()
            if changed and made.dim() > 1:
                made = 0.7 * made.flip(-1)
            return made.requires_grad_(not frozen)

        args, kwargs = self.make(seed)
        if changed:
            args, kwargs = [_turned(value) for value in args], {name: _turned(value) for name, value in kwargs.items()}
        if same:
            args, kwargs = [_alike(value) for value in args], {name: _alike(value) for name, value in kwargs.items()}
        return tree_map(prepared, args), tree_map(prepared, kwargs)

    def run(
        self,
        seed: int = 0,
        *,
        training: bool = True,
        same: bool = False,
        changed: bool = False,
        frozen: bool = False,
        going_on: bool = False,
    ) -> Callable[[], Any]:
        """One forward pass, ready to be made any number of times from the same state.

        going_on: from whatever state the module is in, as in training.
        """
        args, kwargs = self.inputs(seed, same, changed, frozen)
        state = {} if going_on else self.state()

        def call() -> Any:
            if self.module is not None:
                self.module.train(training)
                self.put_back(state)

            def own(value: Any) -> Any:
                # A copy that is no leaf, so that code which writes into its input may.
                return value * 1 if isinstance(value, Tensor) and value.is_floating_point() else value

            given, named = tree_map(own, args), tree_map(own, kwargs)
            with contextlib.nullcontext() if training else torch.no_grad():  # as people evaluate
                return self.callable(*given, **named)

        return call

    def state(self) -> dict[str, Tensor]:
        """What the module's buffers hold, and its statistics in plain attributes."""
        held = {} if self.module is None else dict(self.module.named_buffers()) | self.statistics()
        return {name: value.detach().clone() for name, value in held.items()}

    def statistics(self) -> dict[str, Tensor]:
        """Tensors that the module's parts hold as plain attributes, by name, but for those with a row for each sample,
        which a call left behind."""
        found = {} if self.module is None else plain_tensors(self.module)
        args, kwargs = self.make(0) if found else ((), {})
        rows = {t.shape[0] for t in tree_leaves((list(args), dict(kwargs))) if isinstance(t, Tensor) and t.dim() > 0}
        return {name: value for name, value in found.items() if value.dim() < 2 or value.shape[0] not in rows}

    def put_back(self, state: dict[str, Tensor]) -> None:
        """Let them hold that again; as new tensors, since graphs of earlier passes may hold the old ones."""
        with torch._C.DisableTorchFunction():  # it is no part of the call that is watched
            for name, value in state.items():
                assert self.module is not None
                owner, _, own = name.rpartition(".")
                part = self.module.get_submodule(owner)
                (part._buffers if own in part._buffers else vars(part))[own] = value.clone()

    def reading(self, seed: int = 0, *, training: bool = True, same: bool = False) -> Reading:
        """Watch one pass."""
        return read(self.run(seed, training=training, same=same), seed)


def _turned(value: Any) -> Any:
    """A list of numbers, one a sample, the other way round."""
    return value[::-1] if isinstance(value, list) and value and all(type(part) is int for part in value) else value


def plain_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Tensors that a module's parts hold as attributes, neither as buffers nor as parameters, by name."""
    return {
        f"{name}.{own}" if name else own: value
        for name, part in module.named_modules()
        for own, value in vars(part).items()
        if type(value) is Tensor and not own.startswith("_")
    }


def _alike(value: Any) -> Any:
    """A list of numbers, one a sample, with the first in place of every other."""
    if isinstance(value, list) and value and all(isinstance(part, (int, float, str)) for part in value):
        return [value[0]] * len(value)
    return value
