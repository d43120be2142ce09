"""A compiled model runs eagerly while it is watched: inside compiled code no call can be seen."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn


@contextlib.contextmanager
def compiled_runs_eager(model: nn.Module) -> Iterator[None]:
    """By `torch.compiler.set_stance`; before torch 2.6, by calling what each compiled module was made of."""
    if hasattr(torch.compiler, "set_stance"):
        with torch.compiler.set_stance("force_eager"):
            yield
        return
    changed: list[Any] = []
    for compiled in _compiled(model):
        changed.append((compiled, compiled.__dict__.get("forward")))
        compiled.__dict__["forward"] = compiled._orig_mod.__call__
    try:
        yield
    finally:
        for compiled, forward in changed:
            compiled.__dict__["forward"] = forward


def _compiled(model: nn.Module) -> list[Any]:
    parts = set(model.modules())
    wrappers = [each for each in gc.get_objects() if type(each).__name__ == "OptimizedModule"]
    return [each for each in wrappers if each in parts or each.__dict__["_modules"].get("_orig_mod") in parts]
