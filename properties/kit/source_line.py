"""A line of somebody's file, as reports name it."""

from __future__ import annotations

import linecache
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
