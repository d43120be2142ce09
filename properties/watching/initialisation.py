"""How the parameters behind a score begin."""

from __future__ import annotations

from torch import nn

from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.sites import Site
from sdtps_ref.properties.watching.storage import is_there


def starts_at_zero(reading: Reading, site: Site) -> bool:
    """Whether a weight on the way to the score is all zeros, as of layers that are to start with nothing."""
    return any(
        isinstance(leaf, nn.Parameter) and leaf.dim() > 1 and is_there(leaf) and not leaf.detach().any()
        for leaf in reading.upstream(site.score_call, site.score)
    )
