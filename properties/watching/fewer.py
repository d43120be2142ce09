"""The same call of fewer samples: what is one number a sample there is so here too."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from sdtps_ref.properties.watching.passes import samples_of
from sdtps_ref.properties.watching.record import Call, Watched, watch
from sdtps_ref.properties.watching.subject import Subject


def fewer(subject: Subject) -> Watched | None:
    """A training pass without the last sample; None where there is one alone, or the arguments cannot be cut."""
    args, kwargs = subject.inputs(0)
    batch = samples_of(subject, 0)
    if batch < 2:
        return None

    def cut(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value[: batch - 1] if value.dim() > 0 and value.shape[0] == batch else value
        if isinstance(value, dict):
            return {name: cut(part) for name, part in value.items()}
        if isinstance(value, (list, tuple)):
            if len(value) == batch and not any(isinstance(part, Tensor) for part in value):
                return value[: batch - 1]
            return type(value)(cut(part) for part in value)
        return value

    small = Subject(subject.name, subject.callable, lambda seed: (cut(args), cut(kwargs)), subject.module)
    try:
        return watch(small.run(0, training=True), 0)
    except Exception:  # one sample may be too few, or a size be fixed
        return None


def same_line(watched: Watched, call: Call) -> list[Call]:
    """The calls of another pass that stand where this one does."""
    return [other for other in watched.calls if other.name == call.name and other.place == call.place]
