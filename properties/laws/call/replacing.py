"""Dropped tokens that are merged into kept ones in the user's own call: the kept ones stay."""

from __future__ import annotations

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, decided
from sdtps_ref.properties.watching.replacing import REDUCES, replaced


@law(needs="call", domain=CALL)
def kept_tokens_are_not_replaced(probe: Probe) -> None:
    """Where dropped tokens are merged into kept ones, each kept token is part of what stands in its place.

    Why: written over by the dropped tokens that go to it, a kept token has no part in the result any more, though its D
    is one. Its score is trained by what the others do, and which kept ones are lost changes with every input.
    Breaks when: `kept.scatter_reduce(1, home, dropped, "mean", include_self=False)`, where include_self means the row
    that is there; or `kept[rows, home] = merged`, of a mean that was taken over the dropped ones alone.
    Remedy: `include_self=True`, or the sum of both, divided by one more than the count.
    """
    reading, sites = decided(probe)
    found = replaced(reading, sites)
    if found is not None:
        reduces = found.call.name in REDUCES
        raise Violation(
            f"{found.lost} of {found.kept} kept tokens are replaced by dropped ones, and have no part in the result",
            where=found.call.place,
            effect="what was kept for its score is thrown away, and that score is trained by what other tokens do",
            fix="include_self=True, so that the kept token is part of the mean"
            if reduces
            else "write (kept + sum of dropped) / (1 + count): the kept token is part of it",
        )
