"""What may be wrong with where noise comes from: frozen, seeded, put back, of a generator of its own."""

from __future__ import annotations

from typing import Any

from sdtps_ref.properties.engine.causes.hypotheses.speaking import WAKE_OF_NOISE, noise_is_there
from sdtps_ref.properties.engine.causes.hypothesis import LESS_EXPLORED, Hypothesis, Readings

GENERATOR = ("noise.is_independent", "runtime.respects_the_generator", "noise.*")


def _reset(r: Readings) -> Any:
    if not noise_is_there(r) or r["noise.repeats_with_another_seed"] is not True or r["generator.decides_at_first"]:
        return None
    return {"how": "" if r["generator.is_set"] or r["left.seed"] else ", in a fork that hides it"}


HYPOTHESES = (
    Hypothesis(
        "noise.frozen",
        "the noise is drawn once and kept: every call has the same",
        lambda r: noise_is_there(r) and r["noise.repeats_with_another_seed"] and r["generator.decides_at_first"],
        GENERATOR,
        WAKE_OF_NOISE,
        LESS_EXPLORED,
        3,
        effect="it is a bias on the score, not noise",
        fix="draw it in every forward pass",
    ),
    Hypothesis(
        "generator.reseeded",
        "the forward pass seeds the generator itself{how}: every call draws the same",
        _reset,
        GENERATOR,
        WAKE_OF_NOISE,
        LESS_EXPLORED,
        3,
        effect="the noise is a bias on the score; a reseeded global generator repeats everybody's dropout too",
        fix="leave torch.manual_seed to the caller",
        root=True,
    ),
    Hypothesis(
        "generator.rewound",
        "the generator is put back after drawing, so that the next call draws the same",
        lambda r: (
            noise_is_there(r)
            and r["generator.moves"] is False
            and r["generator.next_call_repeats"]
            and r["noise.repeats_with_another_seed"] is False
        ),
        GENERATOR,
        WAKE_OF_NOISE,
        LESS_EXPLORED,
        3,
        effect="calls that follow each other explore the same direction",
        fix="draw from torch's generator and leave it where it is",
    ),
    Hypothesis(
        "generator.own",
        "noise comes from a generator of its own, which the caller's seed does not reach",
        lambda r: noise_is_there(r) and r["generator.moves"] is False and r["noise.repeats_with_the_seed"] is False,
        GENERATOR,
        WAKE_OF_NOISE,
        LESS_EXPLORED,
        3,
        effect="no seed repeats a run, and a saved generator state does not resume it",
        fix="draw from torch's generator",
    ),
)
