"""The user's line after which something has changed that a call should leave alone, found by following it line by line.

What is looked at: versions of what the caller passed, gradients on or off, the default dtype, the generator's seed.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.watching.record import ENTRY
from sdtps_ref.properties.watching.record import _is_theirs as is_theirs

State = dict[str, Any]


@contextlib.contextmanager
def traced(called: Callable[[FrameType, str, Any], Any]) -> Iterator[None]:
    """`called` for every function that begins within; a debugger or a coverage that does the same is put back after."""
    before = sys.gettrace()
    sys.settrace(called)
    try:
        yield
    finally:
        sys.settrace(before)


class Follower:
    """Notes, for each thing that is looked at, the last line that changed it."""

    def __init__(self, look: Callable[[], State]):
        self.look = look
        self.state = look()
        self.changed: dict[str, SourceLine | None] = {}
        self._lines: list[tuple[FrameType, SourceLine]] = []  # of the user's running functions, the innermost last

    def run(self, call: Callable[[], Any]) -> None:
        """Run it."""
        try:
            with traced(self._called):
                call()
        finally:
            self._compare()

    def _called(self, frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename == ENTRY or not is_theirs(frame.f_code.co_filename):
            return None
        self._compare()
        self._lines.append((frame, SourceLine(frame.f_code.co_filename, frame.f_lineno)))
        return self._inside

    def _inside(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event in ("line", "return"):
            self._compare()
        while self._lines and event == "return":
            ended, _ = self._lines.pop()
            if ended is frame:
                break
        if event == "line" and self._lines:
            self._lines[-1] = frame, SourceLine(frame.f_code.co_filename, frame.f_lineno)
        return self._inside

    def _compare(self) -> None:
        now = self.look()
        for name, value in now.items():
            if value != self.state[name]:
                self.changed[name] = self._lines[-1][1] if self._lines else None
        self.state = now


def settings() -> State:
    """Of torch's, those that spoil whatever is computed later."""
    return {
        "gradients": torch.is_grad_enabled(),
        "default dtype": torch.get_default_dtype(),
        "seed": torch.initial_seed(),
    }


def versions(tensors: list[Tensor]) -> State:
    """How often each tensor was written to."""
    return {f"input {i}": tensor._version for i, tensor in enumerate(tensors)}


def changes(call: Callable[[], Any], tensors: list[Tensor]) -> dict[str, list[Any] | None]:
    """What a call leaves changed, by name, with the user's line that did it; inputs are named `inputs` together."""
    before = settings()
    follower = Follower(lambda: settings() | versions(tensors))
    try:
        follower.run(call)
    finally:
        now = settings()
        torch.set_grad_enabled(before["gradients"])
        torch.set_default_dtype(before["default dtype"])
    left: dict[str, list[Any] | None] = {}
    for name, place in follower.changed.items():
        if name in now and now[name] == before[name]:
            continue  # put back
        known = "inputs" if name.startswith("input ") else name
        left[known] = [place.file, place.line, place.text] if place else None
    return left


def last_lines(call: Callable[[], Any]) -> list[SourceLine]:
    """The lines on which the user's functions returned that torch called meanwhile: a backward's, or a hook's."""
    found: list[SourceLine] = []
    outermost: list[FrameType] = []

    def called(frame: FrameType, event: str, argument: Any) -> Any:
        if outermost or frame.f_code.co_filename == ENTRY or not is_theirs(frame.f_code.co_filename):
            return None
        outermost.append(frame)
        return inside

    def inside(frame: FrameType, event: str, argument: Any) -> Any:
        if event == "return" and outermost and outermost[0] is frame:
            outermost.clear()
            found.append(SourceLine(frame.f_code.co_filename, frame.f_lineno))
        return inside

    with traced(called):
        call()
    return found
