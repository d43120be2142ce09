"""Plots as SVG: in a page's own colours, so that one drawing is right in light and dark, or as a file of its own."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from typing import TYPE_CHECKING, Any

from sdtps_ref.optional_libraries import require

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure

# Colours that matplotlib draws in, and the names of page.css that take their place in the SVG.
INK, FAINT, LINE, GROUND = "#010101", "#020202", "#030303", "#090909"
GOOD, BAD, FIRST, SECOND, THIRD = "#040404", "#050505", "#060606", "#070707", "#080808"
NAMES = {
    GROUND: "ground",
    INK: "ink",
    FAINT: "faint",
    LINE: "line",
    GOOD: "good",
    BAD: "bad",
    FIRST: "first",
    SECOND: "second",
    THIRD: "third",
}
STYLE: dict[str, Any] = {
    "svg.fonttype": "none",  # text stays text: smaller, searchable, in the page's font
    "svg.hashsalt": "sdtps",  # the same figure is the same file
    "text.parse_math": False,  # a dollar in a subject's name is a dollar
    "font.family": "sans-serif",
    "font.size": 10,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "grid.color": LINE,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
}


@contextmanager
def drawing(width: float = 6.0, height: float = 3.2) -> Iterator["Figure"]:
    """A figure to draw on, in inches, in the page's style. Colours of the page: INK, FAINT, GOOD, FIRST, ...

    No window and no backend is touched, and the caller's matplotlib settings stay as they were.
    Raises MissingLibrary without matplotlib.
    """
    matplotlib = require("matplotlib", "a plot")
    figures = require("matplotlib.figure", "a plot")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield figures.Figure(figsize=(width, height), layout="constrained")


def inlined(figure: "Figure", label: str, prefix: str) -> "Markup":
    """The figure as SVG for a page's template. label: what it shows, for who cannot see it. prefix: of its ids.

    Call it within `drawing`. The prefix keeps the ids of two figures on one page apart: a name of its own each.
    """
    markupsafe = require("markupsafe", "a plot")
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    svg = written.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", svg)
    for colour, name in NAMES.items():
        svg = svg.replace(colour, f"var(--{name})")
    # The page has its own fonts, and the size it gives a figure goes by its width.
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", svg)
    svg = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', rf'<svg viewBox="\1" role="img" {_label(label)}>', svg, count=1)
    # Its style element would be the whole page's.
    return markupsafe.Markup(re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL))


def standalone(figure: "Figure") -> str:
    """The figure as an SVG file, in the page's light colours. Call it within `drawing`."""
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None}, facecolor=GROUND)
    css = resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    light = dict(re.findall(r"--(\w+): (#\w+);", css.partition("@media")[0]))
    svg = written.getvalue()
    for drawn, name in NAMES.items():
        svg = svg.replace(drawn, light[name])
    return svg


def _label(label: str) -> str:
    from markupsafe import escape

    return f'aria-label="{escape(label)}" xmlns:xlink="http://www.w3.org/1999/xlink"'
