"""How a child ended, where it was, and what it said, as far as it left word."""

import json
import os
import re
import signal
import sys
from pathlib import Path

from sdtps_ref.properties.certificates.level import OUT_OF_TIME
from sdtps_ref.properties.engine.budget import MEMORY
from sdtps_ref.properties.engine.isolation.launch import Launched
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.case_json import stored_case

GRACE = 5.0  # seconds that a child may take to end itself after its time is up, before it is killed
FRAME = re.compile(r'^  File "(?P<file>.+)", line (?P<line>\d+) in (?P<function>.+)$', re.MULTILINE)
LONGEST = 1_000_000  # bytes of a case
OURS = Path(__file__).resolve().parents[2]


def case_of(launched: Launched | None) -> Case | None:
    """The case that it was at, as far as it told."""
    if launched is None:
        return None
    launched.trying.seek(0)
    try:
        return stored_case(json.loads(launched.trying.readline(LONGEST)))
    except (ValueError, TypeError, RecursionError):
        return None


def ending_of(launched: Launched, seconds: float | None, memory_gib: float | None) -> str:
    """How the process ended, and where, as far as its last words tell. seconds, memory_gib: that it had."""
    status = launched.ended(GRACE)
    if status is None:
        return "it closed the pipe to the certifier"
    said = said_by(launched)
    where = _place(said)
    if said.startswith("Timeout (") or "\nTimeout (" in said:
        return f"it {OUT_OF_TIME} {seconds or 0:.3g} s{where}"
    if status == 1 and "MemoryError" in said:
        return MEMORY if memory_gib is None else f"{MEMORY} ({memory_gib:g} GiB; --memory-limit)"
    if status < 0:
        return f"the process died of {signal.Signals(-status).name}{where}"
    return f"the process ended with exit status {status}{where}"


def said_by(launched: Launched | None) -> str:
    """The last of what it wrote to its log."""
    if launched is None:
        return ""
    end = launched.log.seek(0, os.SEEK_END)
    launched.log.seek(max(0, end - 4000))
    return launched.log.read(4000).decode(errors="replace")


def _place(stacks: str) -> str:
    """In whose code a dumped stack ends: the innermost frame that is neither Python's, torch's nor the certifier's."""
    for frame in FRAME.finditer(stacks):
        path = Path(frame["file"])
        if (
            "site-packages" in path.parts
            or OURS in path.resolve().parents
            or str(path).startswith((sys.base_prefix, "<"))
        ):
            continue
        return f", in {frame['function']} ({path.name}, line {frame['line']})"
    return ""
