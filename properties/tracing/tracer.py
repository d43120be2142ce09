"""`with trace(model) as seen:` around one ordinary training step."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import Optimizer

from sdtps_ref.errors import InvalidInput
from sdtps_ref.properties.tracing import backward, checkpoints, eager
from sdtps_ref.properties.tracing.causes import order, updates
from sdtps_ref.properties.tracing.forwards import Forwards
from sdtps_ref.properties.tracing.optimizer_watch import OptimizerWatch, total_norm
from sdtps_ref.properties.tracing.reading_of_step import tell
from sdtps_ref.properties.tracing.result import Seen
from sdtps_ref.properties.tracing.step import Step, prepare, unscaled
from sdtps_ref.properties.tracing.step_watch import StepWatch

_ACTIVE: dict[int, Trace] = {}  # by thread


class Trace:
    """One traced step. Enters to a `Seen`, which is filled in by the backward pass and at the end of the block."""

    def __init__(self, model: nn.Module, *, optimizer: Optimizer | None = None):
        if not isinstance(model, nn.Module):
            raise InvalidInput.given(f"trace({type(model).__name__})", "trace(model), with a torch.nn.Module")
        self.model = model
        self.seen = Seen(type(model).__name__)
        self.watch = StepWatch()
        self.forwards = Forwards(model, self.watch)
        self.optimizers = OptimizerWatch(model, optimizer)
        self.step: Step | None = None
        self._servings: list[updates.Serving] = []
        self._found: list[Any] = []
        self._scale = 1.0
        self._state = torch.get_rng_state()
        self._depth = 0
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Seen:
        other = _ACTIVE.get(threading.get_ident())
        if other is not None:
            raise InvalidInput.given(
                f"trace({type(self.model).__name__}) within trace({type(other.model).__name__})",
                "one trace at a time in a thread; close the first, or trace a module that holds both models",
            )
        _ACTIVE[threading.get_ident()] = self
        self._state = torch.get_rng_state()
        self._stack.callback(_ACTIVE.pop, threading.get_ident())
        self._stack.enter_context(eager.compiled_runs_eager(self.model))
        self.watch.listener = self._backward
        self._stack.enter_context(checkpoints.watched_again(self.watch))
        self._stack.enter_context(backward.listened_to(self._backward))
        self.forwards.start()
        self._stack.callback(self.forwards.stop)
        self.optimizers.start()
        self._stack.callback(self.optimizers.stop)
        self._stack.enter_context(self.watch)
        return self.seen

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        self._stack.close()
        self.seen.forwards = self.forwards.count
        if error is not None:
            self.seen.error = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        with self._never_raising("what was seen could not be read"):
            self._end()
        self.watch.forget()
        self.forwards.outputs = []

    @contextlib.contextmanager
    def _never_raising(self, what: str) -> Iterator[None]:
        """A trace that stumbles says so, and leaves the training that it watches alone."""
        try:
            yield
        except Exception as trouble:
            told = str(trouble).splitlines()[0] if str(trouble) else ""
            self.seen.notes.append(f"{what}: {type(trouble).__name__}: {told}")

    def _backward(self, tensors: tuple[Tensor, ...], run: Any, retain_graph: bool) -> None:
        """Around one backward pass of the user's own."""
        seen = self.seen
        seen.backwards += self._depth == 0
        step = self.step
        if step is None and not seen.finished and tensors:
            self.watch.recording = False
            root = tensors[0]
            with self._never_raising("the step could not be prepared"):
                self.step = step = prepare(
                    self.model, self.watch, root, self.forwards.outputs, self.forwards.ranges, outer=self._scale
                )
            if step is None:
                self._prepare_for_recomputed(root)
            elif self._depth == 0:
                self._scale = step.scale
        self._depth += 1
        try:
            self.watch.recording = False
            run()
        finally:
            self._depth -= 1
            self.watch.recording = not seen.finished and self.step is None
        if step is not None and self.step is step and not retain_graph:
            with self._never_raising("the step could not be read"):
                self._read(step)
        if self._depth == 0:
            seen.before_clipping = total_norm(self.model)

    def _prepare_for_recomputed(self, root: Tensor) -> None:
        """A reentrant checkpoint makes its calls again in the backward pass: what was recorded before is not needed."""
        if self.watch.recomputed:
            self._scale = unscaled(self.watch, root)[1]
            self.watch.forget()
            self.forwards.forget()

    def _read(self, step: Step, had_backward: bool = True) -> None:
        step.capture.stop()
        self.seen.sites, self._found = tell(step, self._state, backward=had_backward)
        self._servings = updates.serving(step)
        self.optimizers.follow = [p for serving in self._servings for p in serving.parameters]
        self.seen.scale = step.scale
        self.seen.notes += [f"not judged: {doubt}" for doubt in step.doubts]
        self.step, self.seen.finished, self.watch.done = None, True, True
        self.watch.recording = False
        self.watch.forget()

    def _end(self) -> None:
        seen = self.seen
        if self.step is not None:
            self._read(self.step)
        if not seen.finished and seen.backwards == 0 and self.watch.calls:
            self._without_backward()
        seen.after_clipping = self.optimizers.clipped or total_norm(self.model)
        if not seen.sites:
            seen.nothing = self._what_was_watched()
        seen.causes = order.ordered([*self._found, *updates.find(self._servings, self.optimizers)])

    def _without_backward(self) -> None:
        outputs = self.forwards.outputs
        root = next((t for t in reversed(outputs) if t.requires_grad), None)
        if root is None:
            root = next((t for c in reversed(self.watch.calls) for t in c.tensors if t.is_floating_point()), None)
        if root is None:
            return
        step = prepare(self.model, self.watch, root, outputs, self.forwards.ranges)
        if step is not None:
            self._read(step, had_backward=False)
        self.seen.notes.append(
            "no backward pass within the block: the ladder is missing, and causes are those of the forward pass"
        )

    def _what_was_watched(self) -> list[str]:
        counted = self.watch.seen
        rankings = sum(counted.get(name, 0) for name in ("topk", "sort", "argsort", "kthvalue"))
        sizes = sorted(self.watch.softmax_sizes)
        return [
            f"no selection seen: {sum(counted.values())} torch calls, {rankings} rankings, "
            f"softmaxes over {', '.join(map(str, sizes)) if sizes else 'nothing'}; "
            f"{self.forwards.count} forward and {self.seen.backwards} backward passes of {self.seen.model}",
            "it may be hidden inside torch.jit, a custom kernel, another thread or another process,",
            "or the block did not call the model: wrap one whole step, forward and backward, in `with trace(model)`",
        ]


def active() -> Trace | None:
    """The trace that is running in this thread."""
    return _ACTIVE.get(threading.get_ident())
