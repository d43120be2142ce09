"""`trace.every(model, steps=100, to=...)`: a few numbers of every hundredth step of a run."""

from __future__ import annotations

import contextlib
import threading
from types import TracebackType
from typing import Any

from torch import Tensor, nn
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook

from sdtps_ref.errors import InvalidInput
from sdtps_ref.properties.tracing import backward, eager
from sdtps_ref.properties.tracing.forwards import Forwards
from sdtps_ref.properties.tracing.rows import Row, Rows
from sdtps_ref.properties.tracing.sinks import To, sink_for
from sdtps_ref.properties.tracing.step import Step, prepare
from sdtps_ref.properties.tracing.step_watch import StepWatch
from sdtps_ref.properties.watching.record import Call


class WatchedForwards(Forwards):
    """Forward passes with the watch on while they run, and off between them."""

    def _begin(self, module: nn.Module, args: Any) -> None:
        if not self._started:
            self.watch.__enter__()
        super()._begin(module, args)

    def _end(self, module: nn.Module, args: Any, output: Any) -> None:
        super()._end(module, args, output)
        if not self._started:
            self.watch.__exit__(None, None, None)


class Every:
    """A run that is sampled. A step ends with the step of an optimizer that holds parameters of the model.

    Between samples nothing is installed but a hook on optimizers, which counts.
    """

    def __init__(self, model: nn.Module, *, steps: int = 100, to: To):
        if not isinstance(model, nn.Module):
            raise InvalidInput.given(f"trace.every({type(model).__name__})", "a torch.nn.Module")
        if not isinstance(steps, int) or steps < 1:
            raise InvalidInput.given(f"steps={steps!r}", "a whole number, 1 or more")
        self.model, self.steps = model, steps
        self.sink = sink_for(to)
        self.rows = Rows()
        self.number = 0
        self.step: Step | None = None
        self._thread = threading.get_ident()
        self._mine: set[int] = set()
        self._sampling = contextlib.ExitStack()
        self._handle: Any = None

    def start(self) -> Every:
        """Begin; the first step is sampled."""
        self._mine = {id(p) for p in self.model.parameters()}
        self._handle = register_optimizer_step_post_hook(self._stepped)
        self._begin()
        return self

    def stop(self) -> None:
        """End, and close what was opened."""
        self._sampling.close()
        if self._handle is not None:
            self._handle.remove()
        self._handle = None
        self.sink.close()

    def __enter__(self) -> Every:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _stepped(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if threading.get_ident() != self._thread:
            return
        if not any(id(p) in self._mine for group in optimizer.param_groups for p in group["params"]):
            return
        self._sampling.close()
        self.number += 1
        if self.number % self.steps == 0:
            self._begin()

    def _begin(self) -> None:
        self.step = None
        self.watch = StepWatch()
        self.forwards = WatchedForwards(self.model, self.watch)
        self._sampling = contextlib.ExitStack()
        self._sampling.enter_context(eager.compiled_runs_eager(self.model))
        self._sampling.enter_context(backward.listened_to(self._backward))
        self.forwards.start()
        self._sampling.callback(self.forwards.stop)
        self._sampling.callback(self.watch.forget)

    def _backward(self, tensors: tuple[Tensor, ...], run: Any, retain_graph: bool) -> None:
        """Around the first backward pass of a sampled step that has a selection."""
        if self.step is None and self.watch.calls and tensors:
            self.watch.recording = False
            with contextlib.suppress(Exception):  # what cannot be read is left out, and training goes on
                self._join(tensors[0])
                outputs, ranges = self.forwards.outputs, self.forwards.ranges
                self.step = prepare(self.model, self.watch, tensors[0], outputs, ranges, jacobian=False, follow=0)
        step = self.step
        run()
        if step is not None and not self.watch.done:
            self.watch.done = True
            step.capture.stop()
            rows: list[Row] = []
            with contextlib.suppress(Exception):
                rows = self.rows.of(step, self.number, tensors[0])
            for row in rows:
                self.sink.write(row)
            self.watch.forget()

    def _join(self, root: Tensor) -> None:
        """The loss is computed outside the model: one call that stands for it reads all that the model returned."""
        made = [n for t in self.forwards.outputs if (n := self.watch.number_of(t)) is not None]
        outputs = tuple(self.forwards.outputs)
        number = len(self.watch.calls)
        self.watch.calls.append(Call(number, "loss", outputs, {}, root, (), tuple(sorted(set(made))), (), True))
        self.watch._producer[id(root)] = number
