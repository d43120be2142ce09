"""What a constructor raised, and the other kind of value that it asks for."""

from __future__ import annotations

import inspect
import linecache
import re
from collections.abc import Callable
from typing import Any

from sdtps_ref.properties.watching.settings import Settings
from sdtps_ref.properties.watching.sizes import CONFIG, DEPTH, SLOTS, switched_on, value_for

LONGEST = 160  # characters of what a class raised that are repeated


def mend(given: dict[str, Any], candidate: type, error: BaseException, spelt: dict[str, Any]) -> bool:
    """Another kind of value for the argument or setting that was no good; whether one was found."""
    message = str(error)
    line = _line_of(error)
    for p in inspect.signature(candidate).parameters.values():
        if "NoneType" in message and p.default is None and p.name not in given and CONFIG.fullmatch(p.name.lower()):
            given[p.name] = Settings(spelt)  # its own code makes none
            return True
    for settings in [value for value in given.values() if isinstance(value, Settings)]:
        read = list(dict.fromkeys((owner, name) for owner, name in reversed(settings.trail)))
        settings.trail.clear()
        for owner, name in sorted(read, key=lambda pair: not re.search(rf"\b{pair[1]}\b", line)):
            other = _other_kind(dict.get(owner, name), name, message, line, owner.nested)
            if other is not None:
                owner[name] = other
                return True
    for name in _names_in(line, given, candidate):
        default = inspect.signature(candidate).parameters[name].default
        other = _other_kind(given.get(name, default), name, message, line, Settings)
        if other is not None:
            given[name] = other
            return True
    return False


def _other_kind(value: Any, name: str, message: str, line: str, nested: Callable[[], Settings]) -> Any:
    """A value of the kind that the message asks for, or None."""
    blamed = re.search(r"'(\w+)' object|of type '(\w+)'", message)
    if blamed and type(value).__name__ not in blamed.groups():
        return None
    if "has no attribute" in message or re.search(rf"{name}['\"]?\]?\[['\"]", line):
        return nested() if value is None or isinstance(value, (bool, int, float)) else None
    if re.search(r"subscriptable|has no len|not iterable|unpack", message) and isinstance(value, (bool, int, float)):
        value = SLOTS if isinstance(value, bool) else value
        return (value, value) if re.search(r"size|resolution|img|image", name) else [value] * _count(name)
    if "NoneType" in message and value is None:
        try:
            return value_for(name)
        except LookupError:
            return None
    if "'list'" in message and isinstance(value, list) and value:
        return value[0]
    if isinstance(value, (int, float)) and value in (0, 1) and isinstance(switched_on(name, value), float):
        return switched_on(name, value)  # refused as it is by default
    return None


def _count(name: str) -> int:
    return 1 if re.search(r"ratio|rate|loc|keep", name) else DEPTH


def _line_of(error: BaseException) -> str:
    trace = error.__traceback__
    lines = []
    while trace is not None:
        lines.append(linecache.getline(trace.tb_frame.f_code.co_filename, trace.tb_lineno))
        trace = trace.tb_next
    return "".join(lines[1:])


def _names_in(line: str, given: dict[str, Any], candidate: type) -> list[str]:
    """Arguments that the lines which raised have, those that were given first, the innermost line's before others."""
    parameters = [n for n, p in inspect.signature(candidate).parameters.items() if p.kind not in (2, 4)]
    found = [n for text in reversed(line.splitlines()) for n in parameters if re.search(rf"\b{n}\b", text)]
    return sorted(dict.fromkeys(found), key=lambda n: n not in given)


def said(error: BaseException) -> str:
    """What was raised, in a line that is not too long."""
    first = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}"[:LONGEST]
