"""A trace as one HTML page: the ladder as a picture, soft masks of a few samples, lines, cause and remedy."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sdtps_ref.properties.reports.page import render
from sdtps_ref.properties.tracing.ladder import Rung
from sdtps_ref.properties.tracing.screen import soft_words, step_words, times_words, verdict
from sdtps_ref.properties.tracing.seen import SiteSeen, StepSeen

STRONGEST = 0.95  # opacity of the token with the largest p


@dataclass(frozen=True)
class Bar:
    """A rung drawn: where its norm and what is owed lie on the log axis, in percent; None where there is none."""

    rung: Rung
    size: str
    times: str
    at: float | None
    owed: float | None
    bad: bool


@dataclass(frozen=True)
class Picture:
    """A soft mask drawn: rows of cells, each with its opacity, whether the token is kept, and what a pointer tells."""

    rows: list[list[tuple[float, bool, str]]]
    width: int
    square: bool


def page(seen: StepSeen) -> str:
    """The page's source. Raises MissingLibrary without jinja2."""
    tone = "bad" if seen.cause is not None else ("good" if any(site.rungs for site in seen.sites) else "warn")
    return render(
        __package__,
        "trace.html",
        seen=seen,
        verdict=verdict(seen),
        tone=tone,
        step=step_words(seen),
        sites=[(site, soft_words(site), bars(site), axis(site), pictures(site)) for site in seen.sites],
    )


def _range(site: SiteSeen) -> tuple[int, int]:
    sizes = [size for rung in site.rungs for size in (rung.norm, rung.owed) if size and math.isfinite(size)]
    if not sizes:
        return 0, 1
    low, high = math.floor(math.log10(min(sizes))), math.ceil(math.log10(max(sizes)))
    return low, max(high, low + 1)


def axis(site: SiteSeen) -> list[tuple[float, str]]:
    """Ticks of the log axis: percent and label, six at most."""
    low, high = _range(site)
    step = max(1, math.ceil((high - low) / 5))
    return [(100 * (power - low) / (high - low), f"1e{power}") for power in range(low, high + 1, step)]


def bars(site: SiteSeen) -> list[Bar]:
    """The rungs of a site."""
    low, high = _range(site)

    def place(size: float | None) -> float | None:
        if size is None or size <= 0:
            return None
        return 100.0 if not math.isfinite(size) else round(100 * (math.log10(size) - low) / (high - low), 2)

    return [
        Bar(
            rung,
            "none" if rung.norm is None else f"{rung.norm:.3g}",
            times_words(rung.times),
            place(rung.norm),
            place(rung.owed),
            rung.norm is None or (rung.times is not None and not 1e-3 < rung.times < 1e3),
        )
        for rung in site.rungs
    ]


def pictures(site: SiteSeen) -> list[Picture]:
    """Soft masks of the first samples, as a grid where N is a square, else as rows of sixteen."""
    made = []
    for p, kept in site.pictures:
        side = math.isqrt(len(p))
        square = side * side == len(p)
        width = side if square else min(16, len(p))
        largest, chosen = max(p) or 1.0, set(kept)
        cells = [
            (round(STRONGEST * (value / largest) ** 0.5, 3), n in chosen, f"token {n}: p = {value:.3g}")
            for n, value in enumerate(p)
        ]
        made.append(Picture([cells[i : i + width] for i in range(0, len(cells), width)], width, square))
    return made
