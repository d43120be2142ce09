"""Maps that are laid out as tokens and put together again, in the user's own call: which side is which."""

from __future__ import annotations

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, passes_of
from sdtps_ref.properties.watching.sides import Sides


@law(needs="call", domain=CALL)
def grids_keep_their_sides(probe: Probe) -> None:
    """Tokens that were laid out from a map of H x W are put together to a map of H x W again, and not of W x H.

    Why: the count is the same, so nothing complains, and on a square picture nothing is wrong. On any other every row
    starts at another column than it should: what a convolution, a pooling or an interpolation takes for neighbours
    lies apart in the picture.
    Breaks when: `x.flatten(2)` of B C H W becomes `score.view(B, 1, W, H)`, as where sizes are handed over as (W, H).
    Remedy: `score.view(B, 1, H, W)`: rows first, as `flatten` laid them out.
    """
    reading = passes_of(probe).reading()
    turned = Sides(reading).turned
    if not turned:
        raise Unsupported("no tokens are put together to a map with its sides changed over")
    first = turned[0]
    height, width = first.sizes
    raise Violation(
        f"tokens that were laid out from a map of {height} x {width} are taken as one of {width} x {height}"
        + (f", for {first.mixed.name} (line {first.mixed.place.line})" if first.mixed.place else ""),
        where=first.asked.place,
        effect="what it takes for neighbours lies apart in the picture, and each row is made of parts of two",
        fix=f"put them together as they were laid out: view(..., {height}, {width}), that is H before W",
    )
