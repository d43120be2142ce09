"""Where the rows of a run go: a CSV file, TensorBoard, or whatever can be called."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TextIO

from sdtps_ref.errors import InvalidInput
from sdtps_ref.properties.tracing.rows import FIELDS, Row

To = str | Path | Callable[[Row], Any] | Any  # Any: a SummaryWriter, which has `add_scalar`


class Sink(Protocol):
    """What takes rows."""

    def write(self, row: Row) -> None:
        """Take one."""

    def close(self) -> None:
        """No more will come."""


class Csv:
    """A file with a line a row, written as they come."""

    def __init__(self, path: Path):
        if not path.parent.is_dir() or path.is_dir():
            raise InvalidInput.given(f"to={str(path)!r}", "a file in a folder that exists")
        self._file: TextIO = path.open("w", newline="", encoding="utf-8")
        self._writer = csv.DictWriter(self._file, FIELDS)
        self._writer.writeheader()

    def write(self, row: Row) -> None:
        """A line, to be read while the run goes on."""
        self._writer.writerow(row)
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class TensorBoard:
    """A `torch.utils.tensorboard.SummaryWriter`, or what has its `add_scalar`."""

    def __init__(self, writer: Any):
        self._writer = writer

    def write(self, row: Row) -> None:
        """A scalar a number."""
        for name, value in row.items():
            if isinstance(value, (int, float)) and name != "step":
                self._writer.add_scalar(f"sdtps/{row['site']}/{name}", value, row["step"])

    def close(self) -> None:
        """The writer is its owner's to close."""
        if hasattr(self._writer, "flush"):
            self._writer.flush()


class Called:
    """A function of a row."""

    def __init__(self, function: Callable[[Row], Any]):
        self._function = function

    def write(self, row: Row) -> None:
        """Hand it over."""
        self._function(row)

    def close(self) -> None:
        """Nothing to close."""


def sink_for(to: To) -> Sink:
    """The sink for what was given. Raises InvalidInput."""
    if isinstance(to, (str, Path)):
        return Csv(Path(to))
    if hasattr(to, "add_scalar"):
        return TensorBoard(to)
    if callable(to):
        return Called(to)
    raise InvalidInput.given(f"to={to!r}", "a path of a CSV file, a SummaryWriter, or a function of a row")
