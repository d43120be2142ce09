"""What may be wrong with the soft mask as a function of its own sample's score."""

from __future__ import annotations

from sdtps_ref.properties.engine.causes.hypotheses.speaking import SOFT_MASK
from sdtps_ref.properties.engine.causes.hypothesis import DOWNSTREAM, MISLED, UNTRAINED, Hypothesis, Readings

CLOSE = 1e-3


def _alike(one: float, other: float) -> bool:
    return abs(one - other) <= CLOSE * abs(other)


def _by_itself(r: Readings) -> bool:
    return r["soft_mask.form"] == "each by itself" and r["soft_mask.samples"] == "independent"


def _normaliser_detached(r: Readings) -> bool:
    sums = r["soft_mask.sums"] or []
    return _by_itself(r) and all(_alike(each, sums[0]) for each in sums)


HYPOTHESES = (
    Hypothesis(
        "soft_mask.missing",
        "D is hard backward too: no soft mask is in it, or one without a gradient",
        lambda r: r["soft_mask.form"] == "none",
        ("gradient.reaches_score",),
        DOWNSTREAM,
        UNTRAINED,
        effect="the score is never trained; the choice stays what it was at initialisation",
        fix="decision = hard_mask + (soft_mask - soft_mask.detach())",
        training="the score is never trained",
    ),
    Hypothesis(
        "soft_mask.of_the_kept",
        "the softmax of the soft mask runs over the kept tokens only",
        lambda r: r["soft_mask.form"] == "of the kept",
        SOFT_MASK,
        DOWNSTREAM,
        UNTRAINED,
        3,
        effect="no gradient reaches a dropped token's score, so what is dropped once has no way back",
        fix="soft_mask = softmax((score + gumbel_noise) / tau, dim=-1)   over all N",
        training="dropped tokens are never trained",
    ),
    Hypothesis(
        "soft_mask.sign",
        "the soft mask goes into D with the wrong sign",
        lambda r: r["soft_mask.sign"] == -1.0 and r["soft_mask.form"] in ("softmax", "each by itself"),
        ("decision.backward_*", "gradient.matches_closed_form"),
        DOWNSTREAM,
        UNTRAINED,
        3,
        effect="training lowers the scores that should rise",
        fix="decision = hard_mask + (soft_mask - soft_mask.detach())",
        training="it is trained backwards",
    ),
    Hypothesis(
        "soft_mask.sigmoid",
        "the soft mask takes each token by itself, as a sigmoid does",
        lambda r: _by_itself(r) and not _normaliser_detached(r),
        SOFT_MASK,
        DOWNSTREAM,
        MISLED,
        3,
        effect="tokens do not compete: all scores can rise together",
        fix="soft_mask = softmax((score + gumbel_noise) / tau, dim=-1)",
        training="tokens do not compete",
    ),
    Hypothesis(
        "soft_mask.normaliser_detached",
        "the softmax's denominator carries no gradient",
        _normaliser_detached,
        SOFT_MASK,
        DOWNSTREAM,
        MISLED,
        4,
        effect="raising one score no longer lowers the other tokens' masks",
        fix="soft_mask = softmax((score + gumbel_noise) / tau, dim=-1), nothing of it detached",
        training="tokens do not compete",
    ),
    Hypothesis(
        "soft_mask.sink",
        "the soft mask sums to less than one: an invisible token takes a share",
        lambda r: r["soft_mask.form"] == "softmax with a sink" and r["soft_mask.samples"] == "independent",
        SOFT_MASK,
        DOWNSTREAM,
        MISLED,
        3,
        effect="when all scores rise together the mask changes, so their level is trained too",
        fix="soft_mask = softmax((score + gumbel_noise) / tau, dim=-1)",
    ),
    Hypothesis(
        "score.logarithm",
        "the soft mask takes the score's logarithm: each token's gradient is divided by its own score",
        lambda r: r["soft_mask.columns"] == "divided by the score" and r["soft_mask.samples"] == "independent",
        (*SOFT_MASK, "gradient.follows_temperature"),
        DOWNSTREAM,
        MISLED,
        4,
        effect="low scores have steep gradients, and what is below zero has none, or NaN",
        fix="soft_mask = softmax((score + gumbel_noise) / tau, dim=-1), the score as it comes",
    ),
    Hypothesis(
        "score.rescaled",
        "the selection divides the score by its own size before the soft mask",
        lambda r: (
            r["soft_mask.scale_free"]
            and r["soft_mask.form"] == "another"
            and r["soft_mask.samples"] == "independent"
            and r["soft_mask.finite_on_even_scores"] is not False
        ),
        (*SOFT_MASK, "gradient.follows_temperature"),
        DOWNSTREAM,
        MISLED,
        3,
        effect="the soft mask is at no temperature that was asked for, and the score's size is not trained",
        fix="soft_mask = softmax((score + gumbel_noise) / tau, dim=-1), the score as it comes",
    ),
    Hypothesis(
        "score.steep",
        "the score is divided by its spread without a floor that holds where all scores are the same",
        lambda r: r["soft_mask.finite_on_even_scores"] is False and r["soft_mask.form"] not in ("none", "not finite"),
        ("gradient.is_finite", "training.gradient_stays_*"),
        DOWNSTREAM,
        UNTRAINED,
        4,
        effect="one even row makes every parameter NaN",
        fix="divide by spread.clamp(min=1e-3), with an epsilon under the root",
        training="NaN on even rows",
    ),
    Hypothesis(
        "softmax.overflow",
        "exponentials of large numbers are taken without subtracting the largest",
        lambda r: r["soft_mask.finite_on_large_scores"] is False and r["soft_mask.finite_on_even_scores"] is not False,
        ("gradient.is_finite*", "decision.forward_is_hard", "runtime.survives_large_scores"),
        DOWNSTREAM,
        UNTRAINED,
        4,
        effect="a score of 89 is infinite in float32 and 12 in float16, and one NaN ends the training",
        fix="use torch.softmax",
        training="NaN on large scores",
    ),
)
