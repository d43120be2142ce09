"""`sdtps trace report`: a run that `trace.every` sampled, drawn, and the steps at which something changed."""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from sdtps_ref.errors import InvalidInput
from sdtps_ref.optional_libraries import require
from sdtps_ref.properties.reports.figures import FIRST, SECOND, THIRD, drawing, inlined, standalone
from sdtps_ref.properties.reports.page import render
from sdtps_ref.properties.tracing.rows import FIELDS

# Each curve: the column, what it shows, and whether it is drawn and compared on a log scale.
CURVES = (
    ("loss", "loss", True),
    ("gain", "gain at D, of what is owed", True),
    ("score_to_rest", "gradient of the score's parameters over the rest", True),
    ("entropy", "entropy of the soft mask, of log N", False),
    ("share", "share of the tokens that gets 99 % of the gradient", False),
    ("changed", "share of the kept positions that changed", False),
)
SHORTEST, PENALTY, MAD = 4, 3.0, 0.6745  # rows on each side of a change; its price; of normal noise
LEAST = 0.05  # the least noise that is believed: a twentieth of a decade, or of a share


@dataclass(frozen=True)
class Told:
    """A run: its curves by site and column, and what is said of it."""

    name: str
    curves: dict[str, dict[str, list[tuple[int, float]]]]
    lines: list[str]


def read(path: Path) -> Told:
    """Read a CSV file. Raises InvalidInput for another one."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != FIELDS:
            raise InvalidInput.given(f"{path} with columns {reader.fieldnames}", f"a CSV file with {', '.join(FIELDS)}")
        rows = list(reader)
    if not rows:
        raise InvalidInput.given(f"{path} without rows", "a run of which at least one step was sampled")
    curves: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for row in rows:
        own = curves.setdefault(row["site"], {})
        for name, _, _ in CURVES:
            if row[name] not in ("", None):
                own.setdefault(name, []).append((int(row["step"]), float(row[name])))
    steps = sorted({int(row["step"]) for row in rows})
    lines = [f"{path.name}: {len(steps)} sampled steps, {steps[0]} to {steps[-1]}, {len(curves)} selections"]
    lines += _ends(curves)
    told = [line for site, own in curves.items() for line in _changes(site, own)]
    lines += told or ["nothing changed its level"]
    return Told(path.name, curves, lines)


def _ends(curves: dict[str, dict[str, list[tuple[int, float]]]]) -> list[str]:
    return [
        f"{site}: " + ", ".join(f"{name} {points[0][1]:.3g} -> {points[-1][1]:.3g}" for name, points in own.items())
        for site, own in curves.items()
    ]


def _changes(site: str, own: dict[str, list[tuple[int, float]]]) -> list[str]:
    lines = []
    for name, _, logarithmic in CURVES:
        points = own.get(name, [])
        bad = next((step for step, value in points if not math.isfinite(value)), None)
        if bad is not None:
            lines.append(f"step {bad}: {name} of {site} is not finite")
        for step, before, after in changes(points, logarithmic):
            lines.append(f"step {step}: {name} of {site} changed from {before:.3g} to {after:.3g}")
    return lines


def changes(points: Sequence[tuple[int, float]], logarithmic: bool) -> list[tuple[int, float, float]]:
    """Where a series changes its level: the first step of the new one, and the medians before and after.

    Segments are those of ruptures' PELT with absolute deviations as costs, in units of the noise between neighbours.
    """
    points = [(step, value) for step, value in points if math.isfinite(value) and (value > 0 or not logarithmic)]
    if len(points) < 2 * SHORTEST:
        return []
    values = [math.log10(value) if logarithmic else value for _, value in points]
    steps = [after - before for before, after in pairwise(values)]
    centre = statistics.median(steps)
    noise = max(LEAST, statistics.median(abs(step - centre) for step in steps) / MAD / math.sqrt(2))
    numpy, ruptures = require("numpy", "sdtps trace report"), require("ruptures", "sdtps trace report", extra="bench")
    search = ruptures.Pelt(model="l1", min_size=SHORTEST, jump=1)
    ends = [0, *search.fit_predict(numpy.array(values)[:, None] / noise, pen=PENALTY * math.log(len(values)))]
    levels = [statistics.median(value for _, value in points[start:end]) for start, end in pairwise(ends)]
    return [
        (points[end][0], before, after) for end, before, after in zip(ends[1:-1], levels[:-1], levels[1:], strict=True)
    ]


def svg(told: Told) -> str:
    """The curves as a file of their own."""
    with drawing(7, 2.1 * len(CURVES)) as figure:
        for place, (name, title, logarithmic) in enumerate(CURVES):
            axes = figure.add_subplot(len(CURVES), 1, place + 1)
            _draw(axes, told, name, logarithmic)
            axes.set_title(title, loc="left")
        return standalone(figure)


def html(told: Told) -> str:
    """A page with a figure a curve."""
    figures = []
    for name, title, logarithmic in CURVES:
        with drawing(6, 2.6) as figure:
            axes = figure.add_subplot()
            _draw(axes, told, name, logarithmic)
            axes.set_title(title, loc="left")
            figures.append(inlined(figure, title, name))
    return render(__package__, "run.html", title=told.name, lines=told.lines, figures=figures)


def _draw(axes, told: Told, name: str, logarithmic: bool) -> None:  # type: ignore[no-untyped-def]
    colours = (FIRST, SECOND, THIRD)
    for number, (site, own) in enumerate(told.curves.items()):
        points = [(step, value) for step, value in own.get(name, []) if math.isfinite(value)]
        colour = colours[number % len(colours)]
        axes.plot([step for step, _ in points], [value for _, value in points], color=colour, label=site, marker=".")
        for step, _, _ in changes(own.get(name, []), logarithmic):
            axes.axvline(step, color=colour, linestyle=":", linewidth=1)
    if logarithmic and any(value > 0 for own in told.curves.values() for _, value in own.get(name, [])):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_formatter(lambda value, _: "")
    axes.set_xlabel("step")
    if len(told.curves) > 1:
        axes.legend(fontsize=8)
