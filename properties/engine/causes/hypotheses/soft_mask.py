"""What may be wrong with D's gradient: the soft mask, its temperature, its sign, and who shares it."""

from __future__ import annotations

from typing import Any

from sdtps_ref.properties.engine.causes.hypothesis import DOWNSTREAM, MISLED, STEEP, UNTRAINED, Hypothesis, Readings

CLOSE = 1e-3
SOFT = ("decision.backward_*", "gradient.reaches_score", "gradient.matches_closed_form", "symmetry.score_shift*")


def _softmax(r: Readings) -> bool:
    return r["soft_mask.form"] == "softmax" and r["soft_mask.samples"] == "independent" and r["gradient.repeats"]


def _temperatures(r: Readings) -> list[tuple[float, float]]:
    given, found = r["temperature.given"], r["temperature.found"]
    if not _softmax(r) or not given or any(isinstance(each, str) for each in found) or given[0] == given[1]:
        return []
    return list(zip(given, found, strict=True))


def _alike(one: float, other: float) -> bool:
    return abs(one - other) <= CLOSE * abs(other)


def _ignored(r: Readings) -> Any:
    read = _temperatures(r)
    found = [one for _, one in read]
    if not read or not _alike(found[0], found[1]) or r["state.temperature_moves"]:
        return None
    return {"found": f"{found[0]:.4g}"}


def _multiplied(r: Readings) -> bool:
    read = _temperatures(r)
    return bool(read) and all(_alike(found * given, 1.0) for given, found in read)


def _another(r: Readings) -> Any:
    read = _temperatures(r)
    if not read or _ignored(r) or _multiplied(r) or all(_alike(found, given) for given, found in read):
        return None
    given, found = read[1]
    factor = f", {found / given:.4g} times what was given" if _alike(read[0][1] / read[0][0], found / given) else ""
    return {"found": f"{found:.4g}", "given": f"{given:g}", "factor": factor}


def _scaled(r: Readings) -> Any:
    factors, kept = r["soft_mask.factor"], r["soft_mask.kept"]
    if not _temperatures(r) or any(isinstance(each, str) for each in factors):
        return None
    if all(_alike(factor, 1.0) for factor in factors):
        return None
    if all(_alike(factor, keep) for factor, keep in zip(factors, kept, strict=True)):
        return {"factor": f"{factors[0]:.4g}", "why": ", which is K: it sums to K as the hard mask does"}
    return {"factor": f"{factors[0]:.4g}", "why": ""}


def _by_itself(r: Readings) -> bool:
    return r["soft_mask.form"] == "each by itself" and r["soft_mask.samples"] == "independent"


def _normaliser_detached(r: Readings) -> bool:
    sums = r["soft_mask.sums"] or []
    return _by_itself(r) and all(_alike(each, sums[0]) for each in sums)


def _over_batch(r: Readings) -> Any:
    samples = r["soft_mask.samples"]
    if samples == "compete by place":
        return {"axis": "the batch (dim=0)"}
    if samples == "mixed" and not r["soft_mask.scale_free"]:
        return {"axis": "all tokens of all samples"}
    return None


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
        SOFT,
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
        "soft_mask.over_batch",
        "the softmax of the soft mask runs over {axis}, so that samples compete with each other",
        _over_batch,
        (*SOFT, "symmetry.batch_independent"),
        DOWNSTREAM,
        MISLED,
        3,
        effect="a sample's loss moves the scores of the others",
        fix="soft_mask = softmax((score + gumbel_noise) / tau, dim=-1)",
        training="gradients cross samples",
    ),
    Hypothesis(
        "gradient.shared_by_batch",
        "every sample receives the same gradient: the soft mask is averaged over the batch",
        lambda r: r["soft_mask.samples"] == "all alike",
        (*SOFT, "symmetry.batch_independent"),
        DOWNSTREAM,
        MISLED,
        3,
        effect="no sample's score is trained by its own loss alone",
        fix="leave the batch axis of the soft mask as it is",
        training="gradients cross samples",
    ),
    Hypothesis(
        "score.over_batch",
        "the selection scales the score by a statistic of the whole batch",
        lambda r: r["soft_mask.samples"] == "mixed" and r["soft_mask.scale_free"],
        (*SOFT, "symmetry.batch_independent"),
        DOWNSTREAM,
        MISLED,
        3,
        effect="a sample's soft mask depends on the samples that it is batched with",
        fix="take statistics of the score over dim=-1 only",
        training="gradients cross samples",
    ),
    Hypothesis(
        "soft_mask.sigmoid",
        "the soft mask takes each token by itself, as a sigmoid does",
        lambda r: _by_itself(r) and not _normaliser_detached(r),
        SOFT,
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
        SOFT,
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
        SOFT,
        DOWNSTREAM,
        MISLED,
        3,
        effect="when all scores rise together the mask changes, so their level is trained too",
        fix="soft_mask = softmax((score + gumbel_noise) / tau, dim=-1)",
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
        (*SOFT, "gradient.follows_temperature"),
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
        ("gradient.is_finite", "training.gradient_stays_bounded"),
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
    Hypothesis(
        "temperature.ignored",
        "the soft mask has a temperature of {found} whatever tau is given",
        _ignored,
        ("decision.backward_is_softmax", "gradient.follows_temperature"),
        DOWNSTREAM,
        MISLED,
        3,
        effect="a search over tau finds that it makes no difference",
        fix="soft_mask = softmax((score + gumbel_noise) / tau, dim=-1)",
    ),
    Hypothesis(
        "temperature.multiplied",
        "the score is multiplied by tau where it should be divided by it",
        _multiplied,
        ("decision.backward_is_softmax", "gradient.follows_temperature"),
        DOWNSTREAM,
        MISLED,
        4,
        effect="a low temperature acts as a high one",
        fix="soft_mask = softmax((score + gumbel_noise) / tau, dim=-1)",
    ),
    Hypothesis(
        "temperature.another",
        "the soft mask has a temperature of {found} where {given} was given{factor}",
        _another,
        ("decision.backward_is_softmax", "gradient.follows_temperature"),
        DOWNSTREAM,
        MISLED,
        effect="the gradient is right for a temperature that nobody asked for",
        fix="soft_mask = softmax((score + gumbel_noise) / tau, dim=-1)",
    ),
    Hypothesis(
        "soft_mask.scaled",
        "the soft mask is multiplied by {factor} on its way into D{why}",
        _scaled,
        ("decision.backward_is_softmax", "gradient.gain_is_the_aggregators"),
        DOWNSTREAM,
        MISLED,
        effect="the score's gradient is so many times what it should be",
        fix="decision = hard_mask + (soft_mask - soft_mask.detach()), no factor",
    ),
    Hypothesis(
        "noise.redrawn_in_backward",
        "the noise is drawn again in the backward pass, as by a checkpoint that forgets the generator's state",
        lambda r: r["gradient.repeats"] is False,
        ("decision.backward_is_linear",),
        DOWNSTREAM,
        MISLED,
        4,
        effect="the gradient is that of another soft mask than the forward pass had",
        fix="checkpoint(..., preserve_rng_state=True)",
    ),
    Hypothesis(
        "gradient.clipped",
        "D's gradient is clipped or rescaled on its way to the score",
        lambda r: r["gradient.linear"] is False and r["gradient.repeats"],
        ("decision.backward_is_linear",),
        DOWNSTREAM,
        STEEP,
        3,
        effect="what explodes is hidden, and all large gradients count the same",
        fix="hand the gradient on; clip the norm of the parameters' gradients after backward",
        training="clipped gradient",
    ),
)
