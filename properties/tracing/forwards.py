"""Which calls of a step the model made, and what it returned: hooks on its forward, taken away afterwards."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from sdtps_ref.properties.tracing.step_watch import StepWatch
from sdtps_ref.properties.watching.record import tensors_in


class Forwards:
    """The forward passes of a model. ranges: first and last number of the calls of each."""

    def __init__(self, model: nn.Module, watch: StepWatch):
        self.model, self.watch = model, watch
        self.ranges: list[tuple[int, int]] = []
        self.outputs: list[Tensor] = []
        self.count = 0
        self._started: list[int] = []
        self._handles: list[Any] = []

    def start(self) -> None:
        """Listen."""
        self._handles = [
            self.model.register_forward_pre_hook(self._begin),
            self.model.register_forward_hook(self._end, always_call=True),
        ]

    def stop(self) -> None:
        """Listen no longer."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def forget(self) -> None:
        """Let go of ranges and outputs; they are of calls that were let go."""
        self.ranges, self.outputs = [], []

    def _begin(self, module: nn.Module, args: Any) -> None:
        self._started.append(len(self.watch.calls))

    def _end(self, module: nn.Module, args: Any, output: Any) -> None:
        first = self._started.pop() if self._started else 0
        if not self._started and self.watch.recording:
            self.count += 1
            self.ranges.append((first, len(self.watch.calls)))
            self.outputs += [t for t in tensors_in(output) if t.is_floating_point() and t.requires_grad]
