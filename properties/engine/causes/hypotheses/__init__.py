"""Everything that may be wrong, as hypotheses: one file for each part of what is computed."""

from __future__ import annotations

from sdtps_ref.properties.engine.causes.hypotheses import (
    across_samples,
    conduct,
    count,
    extra_token,
    gathering,
    generator,
    mask,
    modalities,
    model,
    noise,
    numbers,
    pipeline,
    process,
    ranking,
    soft_mask,
    temperature,
    weights,
)
from sdtps_ref.properties.engine.causes.hypothesis import Hypothesis

# In the order of what is computed: of two that explain the same, the earlier one is told.
ALL: tuple[Hypothesis, ...] = tuple(
    hypothesis
    for part in (
        soft_mask,
        across_samples,
        temperature,
        ranking,
        count,
        gathering,
        numbers,
        mask,
        weights,
        pipeline,
        model,
        modalities,
        extra_token,
        noise,
        generator,
        conduct,
        process,
    )
    for hypothesis in part.HYPOTHESES
)
