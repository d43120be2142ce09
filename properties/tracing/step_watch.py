"""Records the torch calls of a whole training step, until what is needed of it is known."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.overrides import _get_current_function_mode_stack
from torch.utils import checkpoint

from sdtps_ref.properties.watching.record import Watch, tensors_in

Listener = Callable[[tuple[Tensor, ...], Callable[[], None], bool], None]

CHECKPOINT = str(Path(checkpoint.__file__))


class StepWatch(Watch):
    """A `Watch` that keeps each call's function too, and can be turned off and emptied.

    functions: by call number. listener: what a `torch.autograd.grad` of the user's is handed to. recomputed: whether
    calls were left out that a reentrant checkpoint will make again in the backward pass, with gradients. done:
    nothing more is needed. seen: how many calls of each name, those that were let go included.
    """

    def __init__(self) -> None:
        super().__init__()
        self.recording = True
        self.functions: dict[int, Callable[..., Any]] = {}
        self.recomputed = False
        self.listener: Listener | None = None
        self.done = False
        self.seen: dict[str, int] = {}
        self.softmax_sizes: set[int] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """One call."""
        name = getattr(func, "__name__", "?")
        if not self.recording or name in ("backward", "__repr__", "__format__"):
            return func(*args, **(kwargs or {}))
        if func is torch.autograd.grad and self.listener is not None:
            return self._gradient(func, args, kwargs or {}, self.listener)
        if not torch.is_grad_enabled() and _in_checkpoint(reentrant=True):
            self.recomputed = True
            return func(*args, **(kwargs or {}))
        result = super().__torch_function__(func, types, args, kwargs)
        call = self.calls[-1]
        self.functions[call.number] = func
        self.seen[name] = self.seen.get(name, 0) + 1
        if name == "softmax" and call.tensors and call.tensors[0].dim():
            self.softmax_sizes.add(call.tensors[0].shape[-1])
        return result

    def _gradient(self, func: Any, args: Any, kwargs: Any, listener: Listener) -> Any:
        """A backward pass that hands its gradients back, `torch.autograd.grad`."""
        found: list[Any] = []
        outputs = args[0] if args else kwargs["outputs"]
        roots = tuple(tensors_in(outputs))
        retain = bool(kwargs.get("retain_graph") or kwargs.get("create_graph"))
        listener(roots, lambda: found.append(func(*args, **kwargs)), retain)
        return found[0]

    @property
    def is_on(self) -> bool:
        """Whether calls are handed to it: not while one of them is running."""
        return any(mode is self for mode in _get_current_function_mode_stack())

    def forget(self) -> None:
        """Let go of all calls and their tensors."""
        self.calls = []
        self.functions = {}
        self._producer.clear()
        self._writer.clear()


def _in_checkpoint(reentrant: bool) -> bool:
    """Whether a checkpointed region is running: a reentrant one runs it in `CheckpointFunction.forward`."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename == CHECKPOINT and (not reentrant or frame.f_code.co_name == "forward"):
            return True
        frame = frame.f_back
    return False
