"""What is kept of the runs of the toy task: ends, curves and, over seeds, medians. It is stored as JSON."""

import json
import math
import platform
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch

from sdtps_ref import InvalidInput, __version__
from sdtps_ref.benchmarks.trainability.training import MASKS, OPTIMISERS, Step, ToyMask

FORMAT = 1
STRIDE = 10  # steps whose mean is one point of a curve
END = 8  # the last eighth of a run is its end


@dataclass(frozen=True)
class Run:
    """One run. finite: steps until the score was not finite any more, all of them where it stayed so."""

    mask: ToyMask
    optimiser: str
    seed: int
    finite: int
    first: Step
    end: Step  # mean over the last eighth
    curve: tuple[Step, ...]  # means over STRIDE steps


@dataclass(frozen=True)
class Record:
    """All runs of one call, and where they were made."""

    steps: int
    environment: dict[str, str]
    runs: tuple[Run, ...]

    @property
    def seeds(self) -> int:
        """How many seeds each mask had under each optimiser."""
        return len({run.seed for run in self.runs})

    def of(self, mask: ToyMask, optimiser: str) -> tuple[Run, ...]:
        """The runs of one mask under one optimiser, a seed each."""
        return tuple(run for run in self.runs if (run.mask, run.optimiser) == (mask, optimiser))


def kept_of(mask: ToyMask, optimiser: str, seed: int, steps: Sequence[Step]) -> Run:
    """What is kept of a run. steps: all of them, one or more."""
    finite = sum(math.isfinite(step.loss) for step in steps)
    strides = [steps[start : start + STRIDE] for start in range(0, len(steps), STRIDE)]
    end = steps[-max(1, len(steps) // END) :]
    return Run(mask, optimiser, seed, finite, steps[0], mean(end), tuple(map(mean, strides)))


def mean(steps: Sequence[Step]) -> Step:
    """Entry by entry; NaN where one of them is."""
    return Step(*(sum(entries) / len(steps) for entries in zip(*map(_entries, steps), strict=True)))


def median(values: Iterable[float]) -> float:
    """The median, a NaN counting as larger than any number: a run that diverged did not end well."""
    return statistics.median(math.inf if math.isnan(value) else value for value in values)


def gain(record: Record) -> float | None:
    """How many times the log mask's gradient the 1e10 mask sends to the score: median over the first steps.

    None where nothing is there to compare.
    """
    by_run = {(run.mask, run.optimiser, run.seed): run.first.score_gradient_norm for run in record.runs}
    ratios = [
        norm / by_run["log", optimiser, seed]
        for (mask, optimiser, seed), norm in by_run.items()
        if mask == "subtract" and by_run.get(("log", optimiser, seed), 0) > 0
    ]
    return median(ratios) if ratios else None


def environment() -> dict[str, str]:
    """Where the runs are made."""
    return {"suite": __version__, "torch": torch.__version__, "python": platform.python_version()}


def write(record: Record, path: Path) -> None:
    """As JSON, six digits a number; null where a number is not finite."""
    runs = [asdict(run) | {"curve": _columns(run.curve)} for run in record.runs]
    content = {"format": FORMAT, "steps": record.steps, "environment": record.environment, "runs": runs}
    path.write_text(json.dumps(_rounded(content)) + "\n")


def read(path: Path) -> Record:
    """What `write` wrote. Raises InvalidInput for anything else."""
    accepted = "a file that `sdtps bench trainability --json` wrote"
    try:
        content = json.loads(path.read_text())
        if content["format"] != FORMAT:
            raise InvalidInput.given(f"{path} of format {content['format']}", f"format {FORMAT}")
        runs = tuple(_run(run) for run in content["runs"])
        return Record(int(content["steps"]), dict(content["environment"]), runs)
    except InvalidInput:
        raise
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InvalidInput.given(f"{path} ({type(error).__name__}: {error})", accepted) from error


def _run(stored: dict[str, Any]) -> Run:
    if stored["mask"] not in MASKS or stored["optimiser"] not in OPTIMISERS:
        raise LookupError(f"mask {stored['mask']!r}, optimiser {stored['optimiser']!r}")
    columns = [stored["curve"][name] for name in Step.__dataclass_fields__]
    return Run(
        mask=cast(ToyMask, stored["mask"]),
        optimiser=stored["optimiser"],
        seed=int(stored["seed"]),
        finite=int(stored["finite"]),
        first=_step(stored["first"]),
        end=_step(stored["end"]),
        curve=tuple(Step(*map(_number, entries)) for entries in zip(*columns, strict=True)),
    )


def _step(stored: dict[str, Any]) -> Step:
    return Step(**{name: _number(value) for name, value in stored.items()})


def _number(stored: float | None) -> float:
    return math.nan if stored is None else float(stored)


def _entries(step: Step) -> tuple[float, ...]:
    return step.loss, step.gradient_norm, step.score_gradient_norm, step.kept


def _columns(steps: Sequence[Step]) -> dict[str, list[float]]:
    columns = zip(*map(_entries, steps), strict=True)
    return {name: list(column) for name, column in zip(Step.__dataclass_fields__, columns, strict=True)}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(entry) for entry in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
