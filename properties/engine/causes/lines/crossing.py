"""Where D meets the tokens of another choice, or its own in another order."""

from __future__ import annotations

from sdtps_ref.properties.engine.causes.lines.flow import Flow
from sdtps_ref.properties.engine.causes.lines.selecting import Parts, picks
from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.watching.alignment import misaligned


def crossed_score(flow: Flow) -> Parts:
    """`crossed score`: a choice by a score that is made of other tokens than it picks. It has no line for sure."""
    found: list[tuple[int, int | None]] = []  # what is picked from, and by which score
    for site in flow.reading.sites:
        sources = [flow.number_of(call.read[0]) for name, call in picks(flow, site) if name == "gather"]
        found += [(source, flow.number_of(site.ranked)) for source in sources if source is not None]
    for source, score in found:
        if not flow.depends(score, source) and any(flow.depends(score, other) for other, _ in found):
            yield "crossed score", None
            return


def crossing(flow: Flow) -> Parts:
    """`crossed` and `out of order`; of several lines, as two branches have, the first of a file."""
    found: dict[str, list[SourceLine]] = {}
    for site in flow.reading.sites:
        said = misaligned(flow.reading, site) if site.decision is not None else None
        if said is not None and said[1] is not None:
            found.setdefault("out of order" if "order" in said[0] else "crossed", []).append(said[1])
    for name, places in found.items():
        if len({place.file for place in places}) == 1:
            yield name, min(places, key=lambda place: place.line)
