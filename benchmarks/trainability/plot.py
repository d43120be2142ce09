"""The curves of the toy task: loss and gradient norm over the steps, a line a mask, a column an optimiser."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sdtps_ref.benchmarks.trainability.record import STRIDE, Record, Run, median
from sdtps_ref.benchmarks.trainability.training import CLASSES, MASKS, OPTIMISERS, Step, ToyMask
from sdtps_ref.properties.reports.figures import FAINT, FIRST, SECOND, drawing, standalone

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = 9.0, 6.2  # inches
COLOURS: dict[ToyMask, str] = {"none": FAINT, "subtract": SECOND, "log": FIRST}
ROWS: tuple[tuple[str, Callable[[Step], float]], ...] = (
    ("loss", lambda step: step.loss),
    ("gradient norm", lambda step: step.gradient_norm),
)


def svg(record: Record) -> str:
    """The curves as a file of their own; the same record gives the same text. Raises MissingLibrary."""
    with drawing(*SIZE) as figure:
        draw(figure, record)
        return standalone(figure)


def draw(figure: "Figure", record: Record) -> None:
    """Medians over the seeds as lines, lowest to highest as bands, a cross where a run ends in NaN."""
    grid = figure.subplots(len(ROWS), len(OPTIMISERS), sharex=True, sharey="row", squeeze=False)
    for (label, of), row in zip(ROWS, grid, strict=True):
        row[0].set_ylabel(label)
        for optimiser, axes in zip(OPTIMISERS, row, strict=True):
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            for mask in MASKS:
                _line(axes, mask, record.of(mask, optimiser), of)
                _end(axes, mask, record.of(mask, optimiser), of, record.steps)
    for optimiser, top, bottom in zip(OPTIMISERS, *grid, strict=True):
        top.set_title(optimiser)
        top.axhline(math.log(CLASSES), color=FAINT, linewidth=0.8, linestyle=":")
        bottom.set_xlabel("step")
    grid[0][0].annotate("chance", (record.steps, math.log(CLASSES)), va="bottom", ha="right", color=FAINT, fontsize=9)
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(MASKS))
    figure.suptitle(f"Toy task, {record.seeds} seeds: the median, and the lowest to the highest", fontsize=11)


def _line(axes: "Axes", mask: ToyMask, runs: tuple[Run, ...], of: Callable[[Step], float]) -> None:
    if not runs:
        return
    points = list(zip(*(map(of, run.curve) for run in runs), strict=True))  # a tuple over the seeds a point
    steps = [STRIDE * (point + 0.5) for point in range(len(points))]
    lowest = [min((x for x in seeds if math.isfinite(x)), default=math.nan) for seeds in points]
    highest = [max((x for x in seeds if math.isfinite(x)), default=math.nan) for seeds in points]
    axes.fill_between(steps, lowest, highest, color=COLOURS[mask], alpha=0.18, linewidth=0)
    axes.plot(
        steps, [_finite(median(seeds)) for seeds in points], color=COLOURS[mask], label=MASKS[mask], linewidth=1.6
    )


def _end(axes: "Axes", mask: ToyMask, runs: tuple[Run, ...], of: Callable[[Step], float], steps: int) -> None:
    """A cross where runs ended in NaN, at what they began with: no point of their curve is left to put it on."""
    ended = [run for run in runs if run.finite < steps]
    if not ended:
        return
    at = median(run.finite for run in ended), median(of(run.first) for run in ended)
    axes.plot(*at, marker="x", color=COLOURS[mask], markersize=9, markeredgewidth=2)
    said = f"NaN after step {at[0]:.0f} ({len(ended)} of {len(runs)} seeds)"
    place: dict[str, Any] = {"xytext": (0, -48), "textcoords": "offset points", "va": "top"}
    axes.annotate(said, at, color=COLOURS[mask], fontsize=9, **place)


def _finite(value: float) -> float:
    return value if math.isfinite(value) else math.nan
