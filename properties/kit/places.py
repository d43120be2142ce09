"""Where the tensors are in what an implementation takes and returns, whatever they are packed in."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn


def tensors(value: Any, place: str, depth: int = 4) -> Iterator[tuple[str, Tensor]]:
    """Every tensor in tuples, lists, mappings and plain objects, with the expression that reaches it from `place`."""
    return ((where, part) for where, part in parts(value, place, depth) if isinstance(part, Tensor))


def parts(value: Any, place: str, depth: int = 4) -> Iterator[tuple[str, Any]]:
    """Every tensor and module, likewise; what is within a module is not looked at."""
    if isinstance(value, (Tensor, nn.Module)):
        yield place, value
        return
    if depth == 0 or value is None or isinstance(value, (str, bytes, int, float, type)):
        return
    if isinstance(value, Mapping):
        held = [(f"{place}[{key!r}]", part) for key, part in value.items()]
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        held = [(f"{place}.{name}", part) for name, part in zip(value._fields, value, strict=True)]
    elif isinstance(value, (tuple, list)):
        held = [(f"{place}[{i}]", part) for i, part in enumerate(value)]
    elif dataclasses.is_dataclass(value):
        held = [(f"{place}.{field.name}", getattr(value, field.name)) for field in dataclasses.fields(value)]
    else:
        held = [(f"{place}.{name}", part) for name, part in getattr(value, "__dict__", {}).items()]
    for where, part in held:
        yield from parts(part, where, depth - 1)
