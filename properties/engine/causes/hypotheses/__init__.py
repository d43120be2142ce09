"""Everything that may be wrong, as hypotheses: one file a part of the contract."""

from __future__ import annotations

from sdtps_ref.properties.engine.causes.hypotheses import (
    choice,
    conduct,
    extra_token,
    noise,
    pooling,
    soft_mask,
    wiring,
)
from sdtps_ref.properties.engine.causes.hypothesis import Hypothesis

ALL: tuple[Hypothesis, ...] = (
    *soft_mask.HYPOTHESES,
    *choice.HYPOTHESES,
    *pooling.HYPOTHESES,
    *wiring.HYPOTHESES,
    *extra_token.HYPOTHESES,
    *noise.HYPOTHESES,
    *conduct.HYPOTHESES,
)
