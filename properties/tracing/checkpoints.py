"""A reentrant checkpoint makes its calls without gradients, and again in the backward pass: the second is watched."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from torch.utils.checkpoint import CheckpointFunction

from sdtps_ref.properties.tracing.step_watch import StepWatch

_watches: dict[int, StepWatch] = {}  # by thread
_lock = threading.Lock()
_original: Any = None


def _watched(ctx: Any, *gradients: Any) -> Any:
    watch = _watches.get(threading.get_ident())
    if watch is None or watch.done:
        return _original(ctx, *gradients)
    watch.recording = True
    with contextlib.nullcontext() if watch.is_on else watch:
        return _original(ctx, *gradients)


@contextlib.contextmanager
def watched_again(watch: StepWatch) -> Iterator[None]:
    """Record what reentrant checkpoints of this thread make again in the backward pass."""
    global _original
    with _lock:
        if not _watches:
            _original = CheckpointFunction.backward
            CheckpointFunction.backward = staticmethod(_watched)  # type: ignore[method-assign]
        _watches[threading.get_ident()] = watch
    try:
        yield
    finally:
        with _lock:
            _watches.pop(threading.get_ident(), None)
            if not _watches:
                CheckpointFunction.backward = staticmethod(_original)  # type: ignore[method-assign]
