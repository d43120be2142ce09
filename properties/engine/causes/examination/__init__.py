"""After the laws, where something failed: a short look at the implementation itself, for what may be the cause.

What is read are plain numbers and words, by name; which of them speak for what is said in `hypotheses`.
"""

from __future__ import annotations

import contextlib
import io
import math
import time
import warnings
from collections.abc import Callable
from typing import Any

from sdtps_ref.properties.engine.causes.examination import (
    choice,
    conduct,
    gathering,
    modalities,
    model,
    noise,
    pooling,
    soft_mask,
    wiring,
)
from sdtps_ref.properties.engine.causes.examination.bench import Bench
from sdtps_ref.properties.kit.global_state import preserve_settings

Examination = Callable[[Bench], dict[str, Any]]
# By the methods of the contract that are needed, the cheap and telling ones first.
ORDER: tuple[tuple[tuple[str, ...], tuple[Examination, ...]], ...] = (
    (("selector",), (*soft_mask.EXAMINATIONS, *choice.EXAMINATIONS, *gathering.EXAMINATIONS)),
    (("aggregator",), pooling.EXAMINATIONS),
    (("pipeline",), tuple(each for each in wiring.EXAMINATIONS if each is not wiring.gains)),
    (("pipeline", "aggregator"), (wiring.gains,)),
    (("multimodal",), modalities.EXAMINATIONS),
    (("model",), model.EXAMINATIONS),
    (("selector",), conduct.EXAMINATIONS),
    (("selector",), noise.EXAMINATIONS),
)
SECONDS = 20.0  # after which no further examination is begun; all of them take about one, on a machine that is free


def examined(implementation: Any, device: str = "cpu") -> dict[str, Any]:
    """Readings by name. Whatever the implementation raises is a reading too: `raised.<examination>`."""
    bench, found = Bench(implementation, device), dict[str, Any]()
    started = time.perf_counter()
    for needs, examinations in ORDER:
        for examination in examinations:
            if not bench.has(*needs) or time.perf_counter() - started > SECONDS:
                continue
            name = f"{examination.__module__.rpartition('.')[2]}.{examination.__name__}"
            try:
                with _quiet(), preserve_settings(name, set()):
                    found |= examination(bench)
            except (Exception, SystemExit) as error:
                original = getattr(error, "original", error)
                found[f"raised.{name}"] = f"{type(original).__name__}: {original}".splitlines()[0][:200]
    return {name: _plain(value) for name, value in found.items()}


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
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


__all__ = ["examined"]
