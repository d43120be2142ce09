"""What may be wrong with the noise: its distribution, and who shares it."""

from __future__ import annotations

from typing import Any

from sdtps_ref.properties.engine.causes.hypotheses.speaking import WAKE_OF_NOISE, noise_is_there
from sdtps_ref.properties.engine.causes.hypothesis import LESS_EXPLORED, UNTRAINED, Hypothesis, Readings

NOISE = ("noise.*",)
DRAW = "-torch.log(-torch.log(torch.rand_like(score).clamp(tiny, 1 - eps / 2))), in float32, before `/ tau`"


def _shared_by_draws(r: Readings) -> bool:
    return r["noise.in_training"] is False and 0 < (r["noise.drawn"] or 0) < (r["noise.owed"] or 0)


def _scaled(r: Readings) -> Any:
    looks = r["noise.looks"] or ""
    if not noise_is_there(r) or not looks.startswith("Gumbel(0, 1), times") or _after(r):
        return None
    return {"factor": looks.partition("times ")[2].partition(" ")[0]}


def _after(r: Readings) -> bool:
    size = r["noise.size"]
    return noise_is_there(r) and bool(size) and abs(size[1] / size[0] / 4 - 1) < 0.1


def _like(r: Readings, *starts: str) -> bool:
    return (
        noise_is_there(r)
        and not r["noise.dependence"]
        and (r["noise.looks"] or "").startswith(starts)
        and not _after(r)
    )


def distribution(kind: str, sentence: str, *starts: str, specific: int = 3) -> Hypothesis:
    """A noise that looks like something that is known, and is none of what is owed."""
    return Hypothesis(
        kind,
        sentence,
        lambda r: _like(r, *starts),
        NOISE,
        WAKE_OF_NOISE,
        LESS_EXPLORED,
        specific,
        effect="tokens are not tried with the probabilities of softmax(score): another model is trained",
        fix=f"gumbel_noise = {DRAW}",
    )


HYPOTHESES = (
    Hypothesis(
        "noise.missing",
        "no noise reaches the soft mask in train mode",
        lambda r: r["noise.in_training"] is False and not _shared_by_draws(r),
        NOISE,
        WAKE_OF_NOISE,
        LESS_EXPLORED,
        effect="what is ranked first at the start stays first",
        fix="soft_mask = softmax((score + gumbel_noise) / tau, dim=-1) in train mode",
    ),
    Hypothesis(
        "noise.shared_over_tokens",
        "tokens share their noise: fewer numbers are drawn than there are tokens",
        lambda r: _shared_by_draws(r) or (noise_is_there(r) and r["noise.repeats_over_tokens"]),
        NOISE,
        WAKE_OF_NOISE,
        LESS_EXPLORED,
        3,
        effect="tokens that share a draw are not tried against each other; one number a row is no noise at all",
        fix="draw noise in the score's own shape: torch.rand(score.shape)",
    ),
    Hypothesis(
        "noise.shared_over_samples",
        "samples share their noise",
        lambda r: noise_is_there(r) and r["noise.repeats_over_samples"] and not r["noise.repeats_over_tokens"],
        NOISE,
        WAKE_OF_NOISE,
        LESS_EXPLORED,
        3,
        effect="every sample of a batch pushes the same tokens",
        fix="draw noise in the score's own shape: torch.rand(score.shape)",
    ),
    Hypothesis(
        "noise.partly_shared",
        "the noise of samples, tokens or calls is correlated: it shares a part of its draw",
        lambda r: (
            noise_is_there(r)
            and r["noise.dependence"] == "not independent"
            and not r["noise.repeats_over_tokens"]
            and not r["noise.repeats_over_samples"]
            and r["noise.repeats_with_the_seed"]
        ),
        NOISE,
        WAKE_OF_NOISE,
        LESS_EXPLORED,
        effect="a batch explores less than it seems to",
        fix="draw noise in the score's own shape: torch.rand(score.shape)",
    ),
    Hypothesis(
        "noise.in_eval",
        "noise is drawn in eval mode too",
        lambda r: noise_is_there(r) and r["noise.in_eval"],
        ("noise.is_absent_in_eval",),
        WAKE_OF_NOISE,
        LESS_EXPLORED,
        effect="what differentiates in eval mode (attribution, frozen layers) sees another answer each time",
        fix="gumbel_noise = gumbel(score) if self.training else 0",
    ),
    Hypothesis(
        "noise.after_temperature",
        "the noise is added after the division by tau, which does not reach it",
        _after,
        NOISE,
        WAKE_OF_NOISE,
        LESS_EXPLORED,
        4,
        effect="at a low temperature the noise vanishes beside the score, at a high one it drowns it",
        fix="soft_mask = softmax((score + gumbel_noise) / tau, dim=-1)",
    ),
    Hypothesis(
        "noise.scaled",
        "the noise is {factor} times Gumbel noise",
        _scaled,
        NOISE,
        WAKE_OF_NOISE,
        LESS_EXPLORED,
        3,
        effect="the soft mask's choice is that of another temperature",
        fix=f"gumbel_noise = {DRAW}",
    ),
    distribution("noise.sign", "the noise has the wrong sign: its long tail points down", "Gumbel(0, 1) with its sign"),
    distribution("noise.single_log", "the noise has one log where there should be two", "-log(U)", "log(U)"),
    distribution("noise.logistic", "the noise is logistic, as of a relaxed Bernoulli", "a logistic"),
    distribution("noise.uniform", "the noise is uniform", "a uniform"),
    distribution("noise.normal", "the noise is normal", "a normal"),
    distribution(
        "noise.cut_off",
        "the ends of the noise are cut off, by a clamp or an epsilon that shows",
        "Gumbel(0, 1) cut off",
        "Gumbel(0, 1) with too",
    ),
    distribution("noise.unknown", "the noise is none that is known here", "no distribution", specific=1),
    Hypothesis(
        "noise.in_half",
        "noise is infinite in half precision, where U is rounded to 0 or to 1",
        lambda r: r["noise.finite_in_half"] is False and noise_is_there(r) and not r["noise.looks"],
        ("noise.is_finite",),
        ("noise.*", "gradient.is_finite*", "runtime.*"),
        UNTRAINED,
        3,
        effect="one draw of 500 to 5000 makes a token's soft mask zero, or a whole row NaN",
        fix="draw and transform in float32, clamp U to [tiny, 1 - eps / 2], then convert the noise",
        training="infinite noise in half precision",
    ),
    Hypothesis(
        "noise.shared_over_modalities",
        "the modalities share one draw of noise",
        lambda r: (
            noise_is_there(r)
            and r.fails("multimodal.noise_is_not_shared")
            and not r["noise.repeats_with_another_seed"]
            and r["generator.moves"] is not False
        ),
        ("multimodal.noise_is_not_shared",),
        (),
        LESS_EXPLORED,
        effect="they explore the same positions at the same time",
        fix="let every selector draw its own noise from one running generator",
    ),
)
