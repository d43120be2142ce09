"""After the laws, where something failed: a short look at the implementation itself, for what may be the cause.

What is read are plain numbers and words, by name; which of them speak for what is said in `hypotheses`.
"""

from __future__ import annotations

import contextlib
import io
import math
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from sdtps_ref.properties.engine.causes.bench import Bench
from sdtps_ref.properties.engine.causes.examination import (
    choice,
    conduct,
    gathering,
    lines,
    modalities,
    model,
    noise,
    pooling,
    soft_mask,
    translated,
    wiring,
)
from sdtps_ref.properties.kit.global_state import preserve_settings
from sdtps_ref.properties.kit.probe import first_line

Examination = Callable[[Bench], dict[str, Any]]


@dataclass(frozen=True)
class Group:
    """Examinations of the same methods. stages: of the laws for whose failures they are made; empty for any."""

    needs: tuple[str, ...]
    examinations: tuple[Examination, ...]
    stages: tuple[str, ...] = ()


GROUPS = (
    Group((), lines.EXAMINATIONS),
    Group(("selector",), (*soft_mask.EXAMINATIONS, *choice.EXAMINATIONS, *gathering.EXAMINATIONS)),
    Group(("aggregator",), pooling.EXAMINATIONS),
    Group(("pipeline",), wiring.EXAMINATIONS),
    Group(("pipeline", "aggregator"), (wiring.gains,)),
    Group(("multimodal",), modalities.EXAMINATIONS, ("multimodal", "symmetry", "selection")),
    Group(("model",), model.EXAMINATIONS, ("training", "distributed", "symmetry")),
    Group(
        ("selector",),
        (*conduct.EXAMINATIONS, *translated.EXAMINATIONS),
        ("runtime", "shape", "errors", "distributed", "symmetry", "selection"),
    ),
    Group(("selector",), noise.EXAMINATIONS, ("noise", "runtime", "multimodal", "distributed")),
)
KNOWN = {stage for group in GROUPS for stage in group.stages} | {"decision", "gradient", "aggregation"}
SECONDS = 20.0  # after which no further examination is begun; all of them take about one, on a machine that is free


def examined(implementation: Any, methods: Sequence[str], failed: Iterable[str], device: str = "cpu") -> dict[str, Any]:
    """Readings by name. Whatever the implementation raises is a reading too: `raised.<examination>`.

    methods: of the contract, that it has. failed: ids of the laws that failed, for which a cause is sought.
    """
    stages = {law_id.partition(".")[0] for law_id in failed}
    if not stages - {"call"}:
        return {}  # what a law finds in the user's own call is a cause already
    bench, found = Bench(implementation, methods, device), dict[str, Any]()
    started = time.perf_counter()
    for group in GROUPS:
        concerned = not group.stages or stages & set(group.stages) or stages - KNOWN - {"call"}
        for examination in group.examinations if concerned and bench.has(*group.needs) else ():
            if time.perf_counter() - started > SECONDS:
                return found
            found |= _examined(examination, bench)
    return found


def _examined(examination: Examination, bench: Bench) -> dict[str, Any]:
    name = f"{examination.__module__.rpartition('.')[2]}.{examination.__name__}"
    try:
        with _quiet(), preserve_settings(name, set()):
            return {reading: _plain(value) for reading, value in examination(bench).items()}
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # hypothesis's own signals, which a subject may raise, are no Exceptions
        original = getattr(error, "original", error)
        return {f"raised.{name}": f"{type(original).__name__}: {first_line(original)}"[:200]}


@contextlib.contextmanager
def _quiet() -> Any:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _plain(value: Any) -> Any:
    """What JSON holds: numbers that are none become words."""
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, Tensor):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


__all__ = ["examined"]
