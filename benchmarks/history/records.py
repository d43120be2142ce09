"""A history: one JSON object a line, appended and never rewritten; the ratio to the yardstick is what is compared."""

import hashlib
import json
import math
import os
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sdtps_ref.benchmarks.history import frozen_baseline
from sdtps_ref.benchmarks.history.paired_timing import Timing
from sdtps_ref.benchmarks.timing.environment import environment
from sdtps_ref.benchmarks.workloads.cells import Cell
from sdtps_ref.errors import InvalidInput

FORMAT = 1


@dataclass(frozen=True, order=True)
class Key:
    """What makes two ratios comparable. yardstick: the first digits of its file's sha256."""

    target: str
    device: str
    torch: str
    dtype: str
    size: str
    mode: str
    frozen_baseline: str

    def __str__(self) -> str:
        return f"{self.target}, {self.size}, {self.mode}, {self.dtype}; {self.device}, torch {self.torch}"


@dataclass(frozen=True)
class Record:
    """One timing of one revision. recorded: UTC, ISO 8601. environment: whatever else a time depends on."""

    key: Key
    timing: Timing
    revision: str
    recorded: str
    environment: dict[str, Any]


@dataclass(frozen=True)
class Broken:
    """A line of a history that is no record, by its number from 1."""

    line: int
    reason: str


def record_of(target: str, cell: Cell, timing: Timing, revision: str) -> Record:
    """A record of what was just timed here."""
    measured_on = environment(cell.device)
    key = Key(
        target=target,
        device=machine_name(measured_on),
        torch=measured_on["torch"],
        dtype=cell.dtype,
        size=str(cell.size),
        mode=cell.mode,
        frozen_baseline=yardstick_digest()[:12],
    )
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return Record(key, timing, revision, now, measured_on)


def append(path: Path, records: Iterable[Record]) -> None:
    """Add a line a record. A last line that was cut off stays as it is and spoils no other. Raises OSError."""
    text = "".join(json.dumps({"format": FORMAT} | asdict(record), sort_keys=True) + "\n" for record in records)
    with open(path, "ab+") as file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            text = text if file.read(1) == b"\n" else "\n" + text
        file.write(text.encode())  # in one write: two jobs that append at once do not mix their lines


def read(path: Path) -> tuple[dict[Key, list[Record]], list[Broken]]:
    """The records by key, each in the order of the file, and the lines that are none. Raises InvalidInput."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise InvalidInput.given(f"{path} ({error.strerror})", "a file that `sdtps bench record` wrote") from error
    found: dict[Key, list[Record]] = {}
    broken = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = _parsed(line)
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
            broken.append(Broken(number, f"{type(error).__name__}: {error}"))
        else:
            found.setdefault(record.key, []).append(record)
    return found, broken


def revision_here() -> str:
    """The revision of the folder this was called in, "-dirty" where files differ from it; "unknown" outside git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def machine_name(given: dict[str, Any]) -> str:
    """What a history is keyed by: the GPU's name, or the processor's abilities and the threads used."""
    if given["device"] != "cpu":
        return given["device_name"]
    threads = given["threads"]
    return f"{given['device_name']} {given['capability']}, {threads} thread{'s' * (threads != 1)}"


def yardstick_digest() -> str:
    """sha256 of the yardstick's file."""
    return hashlib.sha256(Path(frozen_baseline.__file__).read_bytes()).hexdigest()


def _parsed(line: bytes) -> Record:
    content = json.loads(line)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"given {line[:40]!r}; accepted: an object of format {FORMAT}")
    timing, key = Timing(**content["timing"]), Key(**content["key"])
    if not all(isinstance(value, str) for value in (*asdict(key).values(), content["revision"], content["recorded"])):
        raise TypeError(f"given key {key}; accepted: strings")
    if not all(isinstance(value, (int, float)) and 0 < value < math.inf for value in asdict(timing).values()):
        raise ValueError(f"given {timing}; accepted: finite numbers above 0")
    return Record(key, timing, content["revision"], content["recorded"], dict(content["environment"]))
