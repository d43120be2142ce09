"""What changed between two vector sets: by case, and by units in the last place."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sdtps_ref.golden.floats import FORMATS, from_hex, spacing
from sdtps_ref.golden.vectors import Case, VectorFile


def differences(old: list[VectorFile], new: list[VectorFile]) -> Iterator[str]:
    """A line for every file, case, input or output that is not the same in both."""
    before, after = ({file.stage: file for file in files} for files in (old, new))
    for stage in sorted(before.keys() | after.keys()):
        if stage not in after or stage not in before:
            yield f"{stage}: the file is {'new' if stage in after else 'gone'}"
        else:
            yield from _file_differences(before[stage], after[stage])


def _file_differences(old: VectorFile, new: VectorFile) -> Iterator[str]:
    for name in sorted((old.header.keys() | new.header.keys()) - {"notes"}):
        was, now = old.header.get(name), new.header.get(name)
        if was != now:
            yield f"{new.stage}: {name} was {json.dumps(was)}, is {json.dumps(now)}"
    was_notes, now_notes = old.header["notes"], new.header["notes"]
    for flag in sorted(was_notes.keys() | now_notes.keys()):
        if was_notes.get(flag) != now_notes.get(flag):
            yield f"{new.stage}: the note on {flag} changed"
    before, after = ({case.id: case for case in file.cases} for file in (old, new))
    for case_id in sorted(before.keys() | after.keys()):
        if case_id not in after or case_id not in before:
            yield f"{case_id}: the case is {'new' if case_id in after else 'gone'}"
        else:
            yield from _case_differences(before[case_id], after[case_id])


def _case_differences(old: Case, new: Case) -> Iterator[str]:
    for name in ("comment", "flags", "formats"):
        if getattr(old, name) != getattr(new, name):
            yield f"{new.id}: {name} was {getattr(old, name)!r}, is {getattr(new, name)!r}"
    for name in sorted(old.inputs.keys() | new.inputs.keys()):
        if old.inputs.get(name) != new.inputs.get(name):
            yield f"{new.id}: the input {name} changed"
    for name in sorted(old.expected.keys() | new.expected.keys()):
        was, now = old.expected.get(name), new.expected.get(name)
        if was is None or now is None:
            yield f"{new.id}: the output {name} is {'gone' if now is None else 'new'}"
        elif was != now:
            yield from _output_differences(f"{new.id}: {name}", was, now)


def _output_differences(where: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for part in sorted(was.keys() | now.keys()):
        before, after = was.get(part), now.get(part)
        if before == after:
            continue
        numbers = part in (*FORMATS, "exact")
        if numbers and isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
            yield f"{where} {part}: {_units(before, after, 'float64' if part == 'exact' else part)}"
        else:
            yield f"{where} {part}: was {_short(before)}, is {_short(after)}"


def _units(before: list[str], after: list[str], dtype: str) -> str:
    moved = [(i, x, y) for i, (x, y) in enumerate(zip(before, after, strict=True)) if x != y]
    worst, index = max((_distance(from_hex(x), from_hex(y), dtype), i) for i, x, y in moved)
    return (
        f"{len(moved)} of {len(before)} entries moved, by {worst:g} units in the last place at most: "
        f"[{index}] was {before[index]}, is {after[index]}"
    )


def _distance(before: float, after: float, dtype: str) -> float:
    unit = spacing(min(abs(before), abs(after)), dtype) if abs(before) + abs(after) < float("inf") else 1.0
    return abs(after - before) / unit


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
