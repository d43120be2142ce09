"""A line of somebody's file, as reports name it."""

from __future__ import annotations

import inspect
import linecache
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LONGEST = 120  # characters of a source line that a report repeats


@dataclass(frozen=True)
class SourceLine:
    """A line of a file. text: what stands there, where it is kept; the file may have changed since."""

    file: str
    line: int
    kept: str = ""

    @property
    def text(self) -> str:
        """The source text of the line, without its indentation."""
        text = self.kept or linecache.getline(self.file, self.line).strip()
        return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.line}"

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` reads back."""
        return {"file": self.file, "line": self.line, "text": self.text}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SourceLine:
        """The line that `to_json` wrote."""
        return cls(data["file"], data["line"], data["text"])


def line_that_sets(owner: type, attribute: str, *, last: bool = False) -> SourceLine | None:
    """The first line of a class that sets `self.attribute`, or the last that sets or changes it; None where none does.

    A buffer is set by its name in a string, too.
    """
    try:
        lines, first = inspect.getsourcelines(owner)
        file = inspect.getsourcefile(owner)
    except (TypeError, OSError):
        return None
    name = rf"\bself\.{re.escape(attribute)}\b"
    sets = re.compile(rf"{name}(\[.*?\])?\s*(:[^=]+)?[-+*/]?=[^=]|{name}(\[.*?\])?\.(data\.)?\w+_\(")
    found = [number for number, line in enumerate(lines) if sets.search(line)]
    return SourceLine(file or "", first + found[-1 if last else 0]) if found else None
