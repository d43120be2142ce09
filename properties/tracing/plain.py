"""A trace as JSON can hold it: numbers that are not finite are written as words."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from typing import Any


def plain_fields(value: Any) -> dict[str, Any]:
    """A dataclass by its fields."""
    return {each.name: plain(getattr(value, each.name)) for each in fields(value)}


def plain(value: Any) -> Any:
    """Dataclasses as dicts, everything else as it is."""
    if hasattr(value, "to_json"):
        return plain(value.to_json())
    if is_dataclass(value) and not isinstance(value, type):
        return plain_fields(value)
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
