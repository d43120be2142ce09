"""Time against size with the machine's limit drawn in, as SVG to be put into a page."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sdtps_ref.benchmarks import units
from sdtps_ref.benchmarks.bench.measurement import Row
from sdtps_ref.benchmarks.workloads.sizes import Size
from sdtps_ref.benchmarks.workloads.workload import MODES
from sdtps_ref.properties.reports import figures

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# A mark for each as well: for print, and for who sees few colours.
COLOURS = (figures.FIRST, figures.SECOND, figures.THIRD, figures.GOOD, figures.BAD, figures.INK)
MARKS = ("o", "s", "^", "D", "v", "P", "X")


def time_against_size(rows: Sequence[Row], label: str, prefix: str) -> "Markup":
    """One stage in one dtype on one device: a panel for each mode, sizes from least work to most.

    The grey area below the limit is out of the machine's reach. Rows without a time are left out. label, prefix: as
    `figures.inlined` takes them. Raises MissingLibrary without matplotlib.
    """
    timed = [row for row in rows if row.times is not None]
    modes = [mode for mode in MODES if any(row.cell.mode == mode for row in timed)]
    with figures.drawing(3.6 * len(modes), 3.4) as figure:
        _draw(figure, timed, modes)
        return figures.inlined(figure, label, prefix)


def _draw(figure: "Figure", timed: list[Row], modes: list[str]) -> None:
    panels = figure.subplots(1, len(modes), sharey=True, squeeze=False)[0]
    sizes = _by_work(timed)
    names = list(dict.fromkeys(row.subject for row in timed))
    low = min(row.limit.seconds for row in timed if row.limit is not None) / 2
    high = 2 * max(row.times.seconds for row in timed if row.times is not None)
    panels[0].set_yscale("log")
    panels[0].set_ylim(low, high)  # of all panels: they share it
    for panel, mode in zip(panels, modes, strict=True):
        _panel(panel, [row for row in timed if row.cell.mode == mode], sizes, names)
        panel.set_title(mode, fontsize=10)
    panels[0].set_ylabel("time of a call")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)), fontsize=9)


def _panel(panel: "Axes", rows: list[Row], sizes: list[Size], names: list[str]) -> None:
    places = {size: place for place, size in enumerate(sizes)}
    limits = sorted({places[row.cell.size]: row.limit.seconds for row in rows if row.limit is not None}.items())
    across, heights = zip(*limits, strict=True)
    panel.plot(
        across, heights, color=figures.FAINT, linestyle="--", marker="_", markersize=14, label="limit of the machine"
    )
    for place, name in enumerate(names):
        own = {places[row.cell.size]: row.times for row in rows if row.subject == name and row.times}
        if not own:
            continue
        xs = sorted(own)
        medians = [own[x].seconds for x in xs]
        low, high = zip(*(own[x].middle_half for x in xs), strict=True)
        reach = np.maximum(0.0, [np.subtract(medians, low), np.subtract(high, medians)])
        colour, mark = COLOURS[place % len(COLOURS)], MARKS[place % len(MARKS)]
        panel.errorbar(xs, medians, yerr=reach, color=colour, marker=mark, markersize=5, capsize=2, label=name)
    panel.fill_between(across, heights, panel.get_ylim()[0], color=figures.FAINT, alpha=0.2, linewidth=0)
    panel.set_xlim(-0.4, len(sizes) - 0.6)
    panel.set_xticks(
        range(len(sizes)), [size.short for size in sizes], rotation=60 if len(sizes) > 3 else 0, fontsize=8
    )
    panel.yaxis.set_major_formatter(lambda value, _: units.seconds(value))
    panel.yaxis.set_minor_formatter(lambda value, _: "")
    panel.tick_params(axis="y", labelsize=8)
    panel.grid(axis="y", which="major", linewidth=0.7)
    panel.set_axisbelow(True)


def _by_work(rows: Sequence[Row]) -> list[Size]:
    """The sizes, least bytes first."""
    least = {row.cell.size: row.work.elements for row in rows if row.work is not None}
    return sorted(least, key=lambda size: least[size])
