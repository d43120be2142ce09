"""The stored counts, and what is held against them. Keyed by the releases of torch, which decides on the operators, and
of Python: 3.10 holds the arguments of a call until it returns, which is a tensor more at the peak.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sdtps_ref.benchmarks.gate.op_counts import Counted
from sdtps_ref.errors import InvalidInput, SDTPSError
from sdtps_ref.output_files import replace_text

COMPARED = ("operators", "kernels", "bytes", "peak_bytes")


class NotComparable(SDTPSError):
    """There is nothing stored for these releases, or for this cell; the message is one line."""


def releases_here() -> str:
    """Of torch, without what it was built for, and of Python: "torch 2.13.0, Python 3.11"."""
    return f"torch {torch.__version__.partition('+')[0]}, Python {sys.version_info.major}.{sys.version_info.minor}"


def read(path: Path) -> dict[str, Any]:
    """{target: {releases: {cell: counts}}}. Raises InvalidInput for a file that is none."""
    if not path.is_file():
        return {}
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidInput.given(f"{path}, which is not JSON: {error}", "a file that --update wrote") from None
    if not isinstance(stored, dict) or not all(isinstance(part, dict) for part in stored.values()):
        raise InvalidInput.given(f"{path}, which is JSON but no store", "a file that --update wrote")
    return stored


def updated(stored: dict[str, Any], target: str, cells: Mapping[str, Counted]) -> dict[str, Any]:
    """The store with these counts in place of those of the same target, releases and cells; the rest as it was."""
    releases, here = stored.get(target, {}), releases_here()
    renewed = releases.get(here, {}) | {name: counted.to_json() for name, counted in cells.items()}
    return stored | {target: releases | {here: renewed}}


def write(path: Path, stored: dict[str, Any]) -> None:
    """Sorted, so that a change shows as one line."""
    replace_text(path, json.dumps(stored, indent=1, sort_keys=True) + "\n")


def owed(stored: dict[str, Any], target: str, names: list[str]) -> dict[str, dict[str, Any]]:
    """What is stored of these cells. Raises NotComparable where one is missing."""
    releases, here = stored.get(target, {}), releases_here()
    if here not in releases:
        known = "; ".join(sorted(releases)) or "nothing else"
        raise NotComparable(f"nothing is stored of {target} for {here} (but for {known}); --update stores it")
    missing = [name for name in names if name not in releases[here]]
    if missing:
        raise NotComparable(f"nothing is stored of {target} for {missing[0]}; --update stores it")
    return {name: releases[here][name] for name in names}


def worse(seen: Counted, stored: Mapping[str, Any]) -> list[str]:
    """What there is more of than stored, in words."""
    return [line for more, line in _changes(seen, stored) if more]


def better(seen: Counted, stored: Mapping[str, Any]) -> list[str]:
    """What there is less of than stored, in words: a reason to store it anew."""
    return [line for more, line in _changes(seen, stored) if not more]


def _changes(seen: Counted, stored: Mapping[str, Any]) -> list[tuple[bool, str]]:
    now, before = _totals(seen.to_json()), _totals(stored)
    changes = []
    for what in COMPARED:
        if now[what] != before[what] and None not in (now[what], before[what]):
            line = f"{what.replace('_', ' ')} {before[what]} -> {now[what]}"
            changes.append((now[what] > before[what], line + _which(seen, stored) * (what == "operators")))
    return changes


def _totals(counts: Mapping[str, Any]) -> dict[str, Any]:
    return {what: sum(counts[what].values()) if what == "operators" else counts[what] for what in COMPARED}


def _which(seen: Counted, stored: Mapping[str, Any]) -> str:
    names = sorted(set(seen.operators) | set(stored["operators"]))
    gaps = [(name, seen.operators.get(name, 0) - stored["operators"].get(name, 0)) for name in names]
    return f" ({', '.join(f'{name} {gap:+d}' for name, gap in gaps if gap)})"
