"""What may be wrong with the wiring of the pipeline."""

from __future__ import annotations

from typing import Any

from sdtps_ref.properties.engine.causes.hypotheses.speaking import HAND_ON, selector_trains
from sdtps_ref.properties.engine.causes.hypothesis import MISLED, OTHER_RESULTS, STEEP, UNTRAINED, Hypothesis, Readings

WIRE = ("gradient.*", "symmetry.*")
WAKE = ("gradient.*", "multimodal.*", "training.*", "symmetry.*", "runtime.*", "branches.*", "aggregation.*")


def _lost(r: Readings) -> bool:
    return r["wiring.gradient"] == "none" and selector_trains(r)


def _part(r: Readings) -> Any:
    gain, alone = r["wiring.gain"], r["wiring.aggregator_gain"]
    if not isinstance(gain, float) or not isinstance(alone, float) or not alone or _not_followed(r):
        return None
    share = gain / alone
    return {"share": f"{share:.3g}"} if abs(share - 1) > 1e-2 and share > 0 and _factor_is_one(r) else None


def _factor_is_one(r: Readings) -> bool:
    factors = r["soft_mask.factor"] or []
    return bool(factors) and all(isinstance(f, float) and abs(f - 1) < 1e-3 for f in factors)


def _right_temperature(r: Readings) -> bool:
    given, found = r["temperature.given"], r["temperature.found"]
    return bool(given) and all(
        isinstance(f, float) and abs(f / g - 1) < 1e-3 for g, f in zip(given, found, strict=True)
    )


def _not_followed(r: Readings) -> bool:
    return bool(r["wiring.ignores_temperature"]) and r["wiring.gradient"] == "some" and _right_temperature(r)


HYPOTHESES = (
    Hypothesis(
        "decision.not_handed_on",
        "the pipeline aggregates without D",
        lambda r: _lost(r) and r["wiring.score_flows"] is False,
        WIRE,
        WAKE,
        UNTRAINED,
        3,
        effect="the score is never trained, while the loss falls because the rest of the model learns",
        fix=HAND_ON,
        training="the score is never trained",
    ),
    Hypothesis(
        "decision.detached",
        "D is handed to the aggregation without its gradient",
        lambda r: _lost(r) and r["wiring.score_flows"] is True,
        WIRE,
        WAKE,
        UNTRAINED,
        3,
        effect="the score is never trained, while the loss falls because the rest of the model learns",
        fix=f"{HAND_ON}, nothing of it detached",
        training="the score is never trained",
    ),
    Hypothesis(
        "decision.wired_by_place",
        "the pipeline pairs tokens in one order with D in another",
        lambda r: r["wiring.order"] in ("by place", "by score where tokens are by place"),
        ("gradient.matches_closed_form",),
        WAKE,
        MISLED,
        3,
        effect="a token answers for another one's score",
        fix=HAND_ON,
        training="gradients go to other tokens",
    ),
    Hypothesis(
        "decision.acts_elsewhere",
        "D acts elsewhere too: as a factor of the tokens or of what is pooled, not only in the mask",
        lambda r: (
            r["wiring.acts_elsewhere"] and r["mask.form"] in ("before the softmax", None) and r["wiring.sums_to_one"]
        ),
        WIRE,
        WAKE,
        MISLED,
        2,
        effect="a token's size trains its score, not what the slots gain by it",
        fix="D goes into the mask before the softmax and nowhere else",
    ),
    Hypothesis(
        "decision.for_a_part",
        "D reaches a part of what is pooled: the gain of the pipeline is {share} of its aggregator's",
        _part,
        ("gradient.gain_is_the_aggregators",),
        WAKE,
        STEEP,
        2,
        effect="the score is trained by a part of the loss",
        fix="hand the same D to every aggregation whose result is added up",
    ),
    Hypothesis(
        "temperature.not_handed_on",
        "the pipeline builds its selection without the tau that it is given",
        _not_followed,
        ("gradient.follows_temperature",),
        WAKE,
        MISLED,
        3,
        effect="a search over tau finds that it makes no difference",
        fix="hand tau on to the selection wherever the model builds one",
    ),
    Hypothesis(
        "pooled.by_place",
        "in the pipeline a kept token weighs by where it stood",
        lambda r: (
            r["wiring.follows_tokens"] is False
            and r["logits.follow_tokens"] is not False
            and r["ranking.by"] in ("score", None)
            and r["ranking.follows_tokens"] is not False
            and r["gather.of"] in ("the marked", None)
            and r["wiring.forward_repeats"]
        ),
        ("symmetry.token_permutation_equivariant",),
        WAKE,
        OTHER_RESULTS,
        3,
        effect="the same tokens elsewhere give other slots",
        fix=HAND_ON,
    ),
    Hypothesis(
        "score.elsewhere",
        "the score acts elsewhere than in the choice: a kept token weighs by how high it scores",
        lambda r: (
            r["wiring.order_of_scores_is_all"] is False
            and r["decision.values"] in ("hard", None)
            and r["wiring.forward_repeats"]
            and r["ranking.right_when_near"] is not False
            and r["ranking.set_repeats"] is not False
            and r["ranking.right_below_zero"] is not False
            and r["ranking.right_above_zero"] is not False
        ),
        ("symmetry.score_order_is_all_that_matters",),
        WAKE,
        OTHER_RESULTS,
        2,
        effect="the slots follow the score's size, which D does not train",
        fix="the score chooses, and nothing of it weighs",
    ),
    Hypothesis(
        "pipeline.log_of_zero",
        "the pipeline masks all N tokens by log D: at D = 0 the slope is infinite, and times zero NaN",
        lambda r: (
            r["wiring.gradient"] == "not finite"
            and r["soft_mask.form"] == "softmax"
            and r["mask.gradient_at_zeros"] == "not finite"
        ),
        ("gradient.is_finite*", "aggregation.gradient_equals_gather_first"),
        (*WAKE, "aggregation.*"),
        UNTRAINED,
        4,
        effect="one backward pass makes every parameter NaN",
        fix="torch.where(D > 0, torch.where(D > 0, D, 1.0).log(), -torch.inf)",
        training="NaN gradients",
    ),
)
