"""The one place that every backward pass goes through, listened to by the thread that traces."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

Listener = Callable[[tuple[Tensor, ...], Callable[[], None], bool], None]
_listeners: dict[int, Listener] = {}
_running: list[tuple[int, ...]] = []
_lock = threading.Lock()
_original: Callable[..., None] = torch.autograd.backward


def _listening(tensors: Any, *args: Any, **kwargs: Any) -> None:
    """`torch.autograd.backward`, which `Tensor.backward` calls too, with whoever listens in this thread around it."""
    listener = _listeners.get(threading.get_ident())
    roots = [t for t in ((tensors,) if isinstance(tensors, Tensor) else tensors) if isinstance(t, Tensor)]
    # Under a mode, torch hands the call to the mode, which makes it again by its name in torch: that is this function.
    key = (threading.get_ident(), *map(id, roots))
    if listener is None or key in _running:
        return _original(tensors, *args, **kwargs)

    def run() -> None:
        _running.append(key)
        try:
            _original(tensors, *args, **kwargs)
        finally:
            _running.remove(key)

    retain = kwargs.get("retain_graph", args[1] if len(args) > 1 else None)
    create = kwargs.get("create_graph", args[2] if len(args) > 2 else False)
    return listener(tuple(roots), run, bool(create if retain is None else retain))


_listening.__name__ = "backward"


@contextlib.contextmanager
def listened_to(listener: Listener) -> Iterator[None]:
    """Call `listener(roots, run, retain_graph)` in place of every backward pass of this thread; it calls `run`."""
    global _original
    with _lock:
        if not _listeners:
            _original = torch.autograd.backward
            torch.autograd.backward = _listening
        _listeners[threading.get_ident()] = listener
    try:
        yield
    finally:
        with _lock:
            _listeners.pop(threading.get_ident(), None)
            if not _listeners and torch.autograd.backward is _listening:
                torch.autograd.backward = _original
