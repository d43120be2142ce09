"""Runs on the digits: stored as JSON, as a table with intervals, and drawn."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from sdtps_ref import InvalidInput
from sdtps_ref.benchmarks.trainability.digits import OPTIMISERS, VARIANTS, DigitsRun
from sdtps_ref.output_files import replace_text
from sdtps_ref.properties.reports.figures import BAD, FAINT, FIRST, GOOD, drawing, standalone

FORMAT = 1
ROW = "{:5}{:28}{:19}{:26}{:>8}"
CELLS = (("accuracy", ".2f"), ("loss", ".2g"))
LEGEND = (
    "accuracy: on 397 pictures that were not trained on. loss: of the last step. gradient: norm at the first step.",
    "Medians over the seeds; in brackets the second and the last but one: of eight, the median is between with 93 %.",
)


@dataclass(frozen=True)
class DigitsRecord:
    """All runs, where they were made, and what trace said of the first SGD step."""

    epochs: int
    environment: dict[str, Any]
    trace: str
    runs: tuple[DigitsRun, ...]

    def of(self, variant: str, optimiser: str) -> list[DigitsRun]:
        """The runs of one kind, a seed each."""
        return [run for run in self.runs if (run.variant, run.optimiser) == (variant, optimiser)]


def interval(values: list[float]) -> tuple[float, float, float]:
    """Median, second smallest and second largest; of fewer than four values the smallest and the largest."""
    ordered = sorted(math.inf if math.isnan(value) else value for value in values)
    edge = 1 if len(ordered) >= 4 else 0
    return statistics.median(ordered), ordered[edge], ordered[-1 - edge]


def write(record: DigitsRecord, path: Path) -> None:
    """Store it. Numbers that are not finite are null."""
    content = {"format": FORMAT, "data": "digits", **asdict(record)}
    replace_text(path, json.dumps(_plain(content), indent=1) + "\n")


def read(path: Path) -> DigitsRecord:
    """What `write` wrote. Raises InvalidInput for anything else."""
    try:
        content = json.loads(path.read_text())
        if (content["format"], content["data"]) != (FORMAT, "digits"):
            raise ValueError("another format")
        runs = tuple(DigitsRun(**{k: _back(v) for k, v in run.items()}) for run in content["runs"])
        return DigitsRecord(content["epochs"], content["environment"], content["trace"], runs)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        accepted = "a file that `sdtps bench trainability --data digits --json` wrote"
        raise InvalidInput.given(f"{path} ({type(error).__name__}: {error})", accepted) from error


def show(console: Console, record: DigitsRecord) -> None:
    """The table, and the trace of the first step."""
    console.print(ROW.format("", "mask", "accuracy", "loss", "gradient"), style="bold", soft_wrap=True)
    for optimiser in OPTIMISERS:
        for variant in VARIANTS:
            if runs := record.of(variant.name, optimiser):
                cells = [_cell([getattr(run, name) for run in runs], digits) for name, digits in CELLS]
                gradient = _said(interval([run.gradient for run in runs])[0])
                console.print(ROW.format(optimiser, variant.name, *cells, gradient), soft_wrap=True)
    console.print()
    for line in LEGEND:
        console.print(line, soft_wrap=True)
    seeds = len({run.seed for run in record.runs})
    console.print(f"{seeds} seeds, {record.epochs} epochs, torch {record.environment['torch']}", style="dim")
    console.print("\nThe first SGD step with the mask of 1e10, as `sdtps trace` tells it:\n")
    console.print(record.trace, soft_wrap=True)


def svg(record: DigitsRecord) -> str:
    """Accuracy and last loss of every variant: a dot a seed, a bar over the interval."""
    with drawing(9, 7.5) as figure:
        panels = figure.subplots(2, 2, sharey=True)
        names = [variant.name for variant in VARIANTS if record.of(variant.name, "Adam")][::-1]
        for row, optimiser in zip(panels, OPTIMISERS, strict=True):
            for axes, measure in zip(row, ("accuracy", "loss"), strict=True):
                for place, name in enumerate(names):
                    values = [getattr(run, measure) for run in record.of(name, optimiser)]
                    colour = GOOD if name.startswith("log") else BAD if "1e10" in name else FIRST
                    middle, low, high = interval(values)
                    finite = [value for value in values if math.isfinite(value)]
                    axes.plot(finite, [place] * len(finite), ".", color=FAINT, markersize=4)
                    if math.isfinite(high):
                        axes.plot([low, high], [place, place], color=colour, linewidth=2)
                    if math.isfinite(middle):
                        axes.plot([middle], [place], "o", color=colour, markersize=5)
                axes.set_yticks(range(len(names)), names)
                axes.set_title(f"{optimiser}: {'test accuracy' if measure == 'accuracy' else 'last loss'}", loc="left")
                if measure == "loss":
                    axes.set_xscale("log")
                    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
                    axes.xaxis.set_minor_formatter(lambda value, _: "")
                axes.grid(axis="x", linewidth=0.5)
        return standalone(figure)


def _cell(values: list[float], digits: str) -> str:
    middle, low, high = (_said(value, digits) for value in interval(values))
    return f"{middle} [{low}, {high}]"


def _said(value: float, digits: str = ".2g") -> str:
    return f"{value:{digits}}" if math.isfinite(value) else "NaN"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    return value


def _back(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_back(part) for part in value)
    return math.nan if value is None else value
