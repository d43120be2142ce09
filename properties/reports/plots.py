"""What a person would rather look at, drawn from the evidence in the record."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sdtps_ref.properties.certificates.certificate import Certificate
from sdtps_ref.properties.reports import figures

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes

WRITTEN = 8  # tokens, up to which the entries of a Jacobian are written into it


def noise(seen: dict[str, Any]) -> "Markup | None":
    """Recovered noise against the density of Gumbel(0, 1); None where none of it is a number."""
    counts, low, high = seen["counts"], seen["low"], seen["high"]
    total = sum(counts) + seen["below"] + seen["above"]
    if not total or not high > low:
        return None
    width = (high - low) / len(counts)
    edges = [low + width * bin_ for bin_ in range(len(counts) + 1)]
    grid = [low + (high - low) * step / 300 for step in range(301)]
    with figures.drawing() as figure:
        axes = figure.subplots()
        heights = [count / total / width for count in counts]
        axes.stairs(heights, edges, fill=True, color=figures.FIRST, alpha=0.35, label="noise, read off the gradient")
        axes.plot(grid, [gumbel_density(x) for x in grid], color=figures.SECOND, label="Gumbel(0, 1)")
        axes.set(xlabel="noise (rows moved to the mean of Gumbel)", ylabel="density", xlim=(low, high))
        axes.legend()
        return figures.inlined(figure, "recovered noise against the density of Gumbel(0, 1)", "noise")


def gumbel_density(x: float) -> float:
    """exp(-x - exp(-x)), zero where the exponent is beyond what a float holds."""
    return math.exp(-x - math.exp(-x)) if x > -700 else 0.0


def gradient(seen: dict[str, Any]) -> "Markup | None":
    """The size of the score's gradient, token by token, as found and at a gain of one."""
    sizes = [[None if v is None else abs(v) for v in seen[name]] for name in ("found", "well_conditioned")]
    if not any(v for series in sizes for v in series):
        return None
    with figures.drawing() as figure:
        axes = figure.subplots()
        found, owed = ({n: size for n, size in enumerate(series) if size} for series in sizes)
        axes.plot(list(found), list(found.values()), "o", ms=10, mfc="none", color=figures.SECOND, label="as found")
        axes.plot(list(owed), list(owed.values()), "o", ms=5, color=figures.FIRST, label="well-conditioned, gain 1")
        axes.set(xlabel="token n", ylabel="size of gradient to score", yscale="log")
        axes.yaxis.set_major_formatter(lambda size, _: f"{size:g}")
        axes.yaxis.set_minor_formatter(lambda size, _: "")
        axes.margins(y=0.15)
        axes.grid(axis="y", linewidth=0.6)
        axes.locator_params(axis="x", integer=True)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0)
        return figures.inlined(figure, "gradient of the score as found and well-conditioned", "gradient")


def decision(seen: dict[str, Any]) -> "Markup | None":
    """D as an image, a sample a row."""
    rows = seen["decision"]
    return _drawn(rows, 1.0, "the decision matrix D", "decision", "sample b") if rows else None


def jacobian(seen: dict[str, Any]) -> "Markup | None":
    """The Jacobian of the first sample's D as an image."""
    rows = seen["jacobian"]
    largest = max((abs(v) for row in rows for v in row if v is not None), default=0.0)
    return _drawn(rows, largest, "the Jacobian of D's first row", "jacobian", "token e, of D") if rows else None


def _drawn(rows: list[list[float | None]], largest: float, label: str, prefix: str, down: str) -> "Markup":
    with figures.drawing(6.0, 1.0 + 4.6 * min(len(rows) / len(rows[0]), 1.0)) as figure:
        axes = figure.subplots()
        _image(axes, rows, largest or 1.0)
        axes.set(xlabel="token n", ylabel=down)
        return figures.inlined(figure, label, prefix)


def _image(axes: "Axes", rows: list[list[float | None]], largest: float) -> None:
    """Cells in the page's colours: blue above zero, orange below, `nan` where there is no number."""
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Rectangle

    for y, row in enumerate(rows):
        for x, value in enumerate(row):
            share = 0.0 if value is None else min(abs(value) / largest, 1.0)
            colour = to_rgba(figures.FIRST if (value or 0) > 0 else figures.SECOND, 0.7 * share)
            axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=colour))
            axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, edgecolor=figures.LINE, linewidth=0.8))
            if value is None or (len(row) <= WRITTEN and 0.05 <= largest < 100):
                axes.text(x, y, _written(value), ha="center", va="center", fontsize=8)
    columns = len(rows[0])
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(len(rows) - 0.5, -0.5), aspect="equal")
    axes.set(xticks=range(0, columns, 1 + columns // 12), yticks=range(0, len(rows), 1 + len(rows) // 12))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _written(value: float | None) -> str:
    if value is None:
        return "nan"
    return f"{value:g}" if value in (0, 1) else f"{value:.2f}".replace("-0.00", "-0").replace("0.00", "0")


@dataclass(frozen=True)
class Plot:
    """A plot: of which part of the evidence, what draws it, and what its reader should look for."""

    of: str
    draw: Callable[[dict[str, Any]], "Markup | None"]
    caption: str


PLOTS = (
    Plot(
        "gradient",
        gradient,
        "The gradient that reaches the score, beside what logits + log D would give. Where the two lie apart by the "
        "same factor in every token, the factor is the gain.",
    ),
    Plot(
        "noise",
        noise,
        "The noise behind the soft mask, read off D's Jacobian without touching the generator. Right noise fills the "
        "curve.",
    ),
    Plot("decision", decision, "D forward: exactly one where a token is kept, exactly zero elsewhere."),
    Plot(
        "decision",
        jacobian,
        "What the backward pass makes of D's first row: d D[0, e] / d score[0, n]. A right one is positive (blue) on "
        "its diagonal, negative (orange) and symmetric beside it, and its rows sum to zero.",
    ),
)


def plots(certificate: Certificate) -> list[dict[str, Any]]:
    """The figures that the record has evidence for: svg, caption, law, and at which case.

    Where several laws saw the same, the one that failed is shown, or else the last, which looked hardest.
    """
    shown = []
    for plot in PLOTS:
        having = [result for result in certificate.laws if plot.of in result.evidence]
        failed = [result for result in having if result.failure is not None]
        if not having:
            continue
        result = (failed or having)[-1]
        seen = result.evidence[plot.of]
        svg = plot.draw(seen)
        if svg is not None:
            shown.append({"svg": svg, "caption": plot.caption, "law": result.id, "at": seen.get("at", "")})
    return shown
