"""A history as a figure: the ratio over the revisions, a panel a key, changes marked."""

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sdtps_ref.benchmarks.history.change_points import Change
from sdtps_ref.benchmarks.history.records import Key, Record
from sdtps_ref.properties.reports.figures import FAINT, FIRST, SECOND, drawing, inlined

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes

LABELS = 12  # revisions named below a panel
SHORT = 8  # characters of a revision


def draw(history: Mapping[Key, Sequence[Record]], found: Mapping[Key, Sequence[Change]]) -> "Markup":
    """Points with the spread of their processes, the median of each stretch as a line, a change as a dashed line."""
    with drawing(9.0, 2.9 * len(history)) as figure:
        grid = figure.subplots(len(history), 1, squeeze=False)
        for (axes,), (key, records) in zip(grid, history.items(), strict=True):
            _panel(axes, records, found[key])
            where = f"{key.dtype}, {key.device}, torch {key.torch}"
            axes.set_title(f"{key.target}, {key.size}, {key.mode}\n{where}", fontsize=9)
        return inlined(figure, "the ratio to the yardstick over the revisions", "history")


def _panel(axes: "Axes", records: Sequence[Record], changes: Sequence[Change]) -> None:
    ratios = [record.timing.ratio for record in records]
    down = [record.timing.ratio - record.timing.lowest for record in records]
    up = [record.timing.highest - record.timing.ratio for record in records]
    axes.errorbar(range(len(records)), ratios, yerr=(down, up), fmt=".", color=FIRST, ecolor=FAINT, elinewidth=1)
    axes.set_ylabel("time / yardstick")
    axes.margins(y=0.25)
    starts = [0, *(change.index for change in changes)]
    levels = [changes[0].before, *(change.after for change in changes)] if changes else [statistics.median(ratios)]
    for start, end, level in zip(starts, [*starts[1:], len(records)], levels, strict=True):
        axes.hlines(level, start, end - 1, color=SECOND)
    for change in changes:
        axes.axvline(change.index - 0.5, color=SECOND, linestyle="--", linewidth=1)
        place: dict[str, Any] = {"xytext": (4, -4), "textcoords": "offset points", "va": "top"}
        top = (change.index - 0.5, 1.0)
        axes.annotate(f"{change.percent:+.1f} %", top, xycoords=("data", "axes fraction"), color=SECOND, **place)
    stride = -(-len(records) // LABELS)
    places = range(0, len(records), stride)
    axes.set_xticks(places, [records[place].revision[:SHORT] for place in places], rotation=30, ha="right", fontsize=8)
