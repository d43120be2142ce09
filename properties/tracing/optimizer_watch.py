"""What the optimizers of a step hold and do: hooks that torch calls around every optimizer's step."""

from __future__ import annotations

import threading
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from sdtps_ref.properties.tracing.capture import norm

SAMPLED = 8  # other parameters that are looked at, to tell a step that moves nothing from one that leaves some out


class OptimizerWatch:
    """Learning rates by parameter, the gradient's norm as the optimizer finds it, and what moved.

    groups: the learning rate of each parameter in an optimizer, by id. known: whether an optimizer was seen or given.
    clipped: the norm of all gradients when the step began.
    """

    def __init__(self, module: nn.Module, optimizer: Optimizer | None = None):
        self.module = module
        self.groups: dict[int, float] = {}
        self.known = self.stepped = False
        self.clipped: float | None = None
        self.follow: list[Tensor] = []  # parameters whose movement is asked for
        self._before: dict[int, tuple[Tensor, Tensor]] = {}
        self._moved: dict[int, bool] = {}
        self._handles: list[Any] = []
        self._thread = threading.get_ident()
        if optimizer is not None:
            self._learn(optimizer)

    def start(self) -> None:
        """Listen to every optimizer of this thread."""
        self._handles = [register_optimizer_step_pre_hook(self._pre), register_optimizer_step_post_hook(self._post)]

    def stop(self) -> None:
        """Listen no longer, and let go of the copies."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._before = {}

    def moved(self, parameter: Tensor) -> bool:
        """Whether the step changed it."""
        return self._moved.get(id(parameter), False)

    @property
    def others_moved(self) -> bool:
        """Whether the step changed any of the parameters that were looked at for comparison."""
        own = {id(p) for p in self.follow}
        return any(moved for key, moved in self._moved.items() if key not in own)

    def _learn(self, optimizer: Optimizer) -> None:
        self.known = True
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                self.groups[id(parameter)] = float(group.get("lr", 0.0))

    def _pre(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if threading.get_ident() != self._thread:
            return
        mine = {id(p) for p in self.module.parameters()}
        if not any(id(p) in mine for group in optimizer.param_groups for p in group["params"]):
            return
        self._learn(optimizer)
        self.clipped = total_norm(self.module)
        own = {id(p) for p in self.follow}
        others = [p for p in self.module.parameters() if p.requires_grad and id(p) not in own][-SAMPLED:]
        self._before = {id(p): (p, p.detach().clone()) for p in (*self.follow, *others)}

    def _post(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if threading.get_ident() != self._thread or not self._before:
            return
        self.stepped = True
        for key, (parameter, before) in self._before.items():
            self._moved[key] = self._moved.get(key, False) or not torch.equal(parameter.detach(), before)


def total_norm(module: nn.Module) -> float | None:
    """The norm of all gradients of a module; None where there are none."""
    sizes = [norm(p.grad) for p in module.parameters() if p.grad is not None]
    return sum(size**2 for size in sizes) ** 0.5 if sizes else None
