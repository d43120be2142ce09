"""What is kept of the runs of the toy task: ends, curves and, over seeds, medians. It is stored as JSON."""

import json
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any

from sdtps_ref import InvalidInput
from sdtps_ref.benchmarks.trainability.training import MASKS, OPTIMISERS, Step, ToyMask
from sdtps_ref.output_files import replace_text

FORMAT = 1
STRIDE = 10  # steps whose mean is one point of a curve
END = 8  # the last eighth of a run is its end
MEASURES = tuple(field.name for field in fields(Step))
ACCEPTED = "a file that `sdtps bench trainability --json` wrote"


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        mask: One of MASKS.
        optimiser: One of OPTIMISERS.
        seed: Of parameters, data and noise.
        finite: Steps until the score was not finite any more, all of them where it stayed so.
        first: The first step.
        end: The mean over the last eighth.
        curve: Means over STRIDE steps.
    """

    mask: ToyMask
    optimiser: str
    seed: int
    finite: int
    first: Step
    end: Step
    curve: tuple[Step, ...]


@dataclass(frozen=True)
class Record:
    """All runs of one call, and where they were made."""

    steps: int
    environment: dict[str, Any]
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
    return Step(*(sum(entries) / len(steps) for entries in zip(*map(astuple, steps), strict=True)))


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


def write(record: Record, path: Path) -> None:
    """Store as JSON, with six digits a number and null where a number is not finite."""
    runs = [
        asdict(run) | {"curve": {name: [getattr(step, name) for step in run.curve] for name in MEASURES}}
        for run in record.runs
    ]
    content = {"format": FORMAT, "steps": record.steps, "environment": record.environment, "runs": runs}
    replace_text(path, json.dumps(_rounded(content)) + "\n")


def read(path: Path) -> Record:
    """What `write` wrote. Raises InvalidInput for anything else."""
    try:
        content = json.loads(path.read_text())
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']!r}")
        runs = tuple(map(_run, content["runs"]))
        return Record(int(content["steps"]), dict(content["environment"]), runs)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise InvalidInput.given(f"{path} ({type(error).__name__}: {error})", ACCEPTED) from error


def _run(stored: dict[str, Any]) -> Run:
    if stored["mask"] not in MASKS or stored["optimiser"] not in OPTIMISERS:
        raise LookupError(f"mask {stored['mask']!r}, optimiser {stored['optimiser']!r}")
    first, end = (_step([stored[part][name] for name in MEASURES]) for part in ("first", "end"))
    curve = tuple(map(_step, zip(*(stored["curve"][name] for name in MEASURES), strict=True)))
    return Run(**stored | {"first": first, "end": end, "curve": curve})


def _step(entries: Iterable[float | None]) -> Step:
    return Step(*(math.nan if entry is None else float(entry) for entry in entries))


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(entry) for entry in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
