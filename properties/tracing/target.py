"""`FILE.py:step`: a function that runs one training step, or returns a loss; whatever modules it calls are watched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from sdtps_ref.properties.tracing.forwards import Forwards
from sdtps_ref.properties.tracing.result import Seen
from sdtps_ref.properties.tracing.step_watch import StepWatch
from sdtps_ref.properties.tracing.tracer import Trace


class Called(nn.Module):
    """The modules with parameters that a step calls, found as it calls them."""

    def add(self, module: nn.Module) -> None:
        """One more; what is part of another is not added."""
        if any(module is part for part in self.modules()) or not any(True for _ in module.parameters()):
            return
        name = type(module).__name__.replace(".", "_")
        while name in self._modules or hasattr(self, name):
            name += "_"
        super().train(module.training)
        self.training = module.training
        self._modules[name] = module


class AllForwards(Forwards):
    """Forward passes of the outermost modules of a step, whichever they are."""

    model: Called

    def __init__(self, model: Called, watch: StepWatch):
        super().__init__(model, watch)
        self._depth = 0

    def start(self) -> None:
        """Listen to all modules."""
        self._handles = [
            register_module_forward_pre_hook(self._begin_any),
            register_module_forward_hook(self._end_any, always_call=True),
        ]

    def _begin_any(self, module: nn.Module, args: Any) -> None:
        self._depth += 1
        if self._depth == 1:
            self.model.add(module)
            self._begin(module, args)

    def _end_any(self, module: nn.Module, args: Any, output: Any) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._end(module, args, output)


class StepTrace(Trace):
    """A trace of whatever modules are called within."""

    def __init__(self) -> None:
        super().__init__(Called())
        self.forwards = AllForwards(self.model, self.watch)  # type: ignore[arg-type]

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        self.seen.model = ", ".join(type(m).__name__ for m in self.model.children()) or "the step"
        super().__exit__(kind, error, traceback)


def traced(step: Callable[[], Any], seed: int = 0) -> tuple[Seen, Exception | None]:
    """Run the step once, seeded, and its backward pass where it returns a loss. What it raised is handed back."""
    torch.manual_seed(seed)
    trace = StepTrace()
    raised: Exception | None = None
    try:
        with trace as seen:
            loss = step()
            if isinstance(loss, (tuple, list)) and loss:
                loss = loss[0]
            if isinstance(loss, Tensor) and loss.requires_grad and seen.backwards == 0:
                loss.sum().backward()
    except Exception as error:
        raised = error
    return trace.seen, raised
