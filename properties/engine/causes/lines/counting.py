"""The line that makes a wrong K: the first after which a number of the user's is the wrong one."""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType
from typing import Any

from sdtps_ref.properties.engine.causes.lines.following import traced
from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.watching.record import ENTRY
from sdtps_ref.properties.watching.record import _is_theirs as is_theirs


def lines_that_make(number: int, call: Callable[[], Any]) -> list[SourceLine]:
    """The lines of the user's functions after which a local variable is this whole number that none was before.

    A function that is handed the number, or that has it from the start, makes it nowhere.
    """
    found: list[SourceLine] = []
    lines: dict[FrameType, int] = {}

    def holds(frame: FrameType) -> bool:
        return any(type(value) is int and value == number for value in frame.f_locals.values())

    def called(frame: FrameType, event: str, argument: Any) -> Any:
        name = frame.f_code.co_filename
        if name == ENTRY or not is_theirs(name) or holds(frame):
            return None
        lines[frame] = frame.f_lineno
        return inside

    def inside(frame: FrameType, event: str, argument: Any) -> Any:
        if frame in lines and holds(frame):
            found.append(SourceLine(frame.f_code.co_filename, lines.pop(frame)))
        elif frame in lines:
            lines[frame] = frame.f_lineno
        return inside

    with traced(called):
        call()
    return found
