"""What may be wrong with the mask: what D = 0 leaves, and what D = 1 hands on."""

from __future__ import annotations

from typing import Any

from sdtps_ref.properties.engine.causes.hypotheses.speaking import (
    MASK,
    POOLING,
    WAKE_OF_POOLING,
    gain_far_from_one,
    weights_sum_to_one,
)
from sdtps_ref.properties.engine.causes.hypothesis import MISLED, OTHER_RESULTS, UNTRAINED, Hypothesis, Readings


def _by_slot(r: Readings) -> Any:
    gains = r["mask.gains"]
    if r["mask.form"] != "before the softmax, slot by slot":
        return None
    none = sum(abs(gain) < 1e-9 for gain in gains)
    return {"how": f"{none} of {len(gains)} slots get none of its gradient" if none else "each has a gain of its own"}


HYPOTHESES = (
    Hypothesis(
        "mask.sign",
        "the mask has the wrong sign: dropped tokens win",
        lambda r: r["mask.leaves"] == "the dropped alone",
        POOLING,
        (*WAKE_OF_POOLING, "errors.*"),
        UNTRAINED,
        4,
        effect="what should be dropped is pooled, and the score is trained backwards",
        fix=MASK,
        training="it is trained backwards",
    ),
    Hypothesis(
        "mask.gradient_sign",
        "the mask's slope in D has the wrong sign",
        lambda r: (
            r["mask.form"] == "before the softmax" and r["mask.gain"] < 0 and r["mask.leaves"] != "the dropped alone"
        ),
        ("aggregation.decision_gradient_is_one_gain", "gradient.matches_closed_form"),
        WAKE_OF_POOLING,
        UNTRAINED,
        3,
        effect="it rewards what it should punish",
        fix=MASK,
        training="it is trained backwards",
    ),
    Hypothesis(
        "mask.weak",
        "the mask multiplies the logits by D: a dropped token keeps the weight exp(0)",
        lambda r: r["mask.leaves"] == "the dropped as if their logits were zero",
        POOLING,
        (*WAKE_OF_POOLING, "errors.*"),
        MISLED,
        3,
        effect="what is dropped weighs in",
        fix=MASK,
    ),
    Hypothesis(
        "mask.too_small",
        "the mask only lowers a dropped token's weight",
        lambda r: (
            r["mask.leaves"] in ("the dropped, with less weight", "everything")
            and r["weights.linear"]
            and weights_sum_to_one(r)
            and r["mask.form"] != "none"
            and not gain_far_from_one(r)
            and r["logits.of_own_token"] is not False
        ),
        ("aggregation.ignores_dropped_tokens", "aggregation.equals_gather_first"),
        (*WAKE_OF_POOLING, "errors.*"),
        OTHER_RESULTS,
        effect="what is dropped weighs in",
        fix=MASK,
    ),
    Hypothesis(
        "mask.multiplies_logits",
        "D multiplies the logits that it keeps by {factor}",
        lambda r: isinstance(r["mask.multiplies_logits"], float) and {"factor": f"{r['mask.multiplies_logits']:.3g}"},
        POOLING,
        WAKE_OF_POOLING,
        OTHER_RESULTS,
        3,
        effect="with D the slots are sharper than without, and D's gradient is another",
        fix=MASK,
    ),
    Hypothesis(
        "mask.by_place",
        "the mask adds a term by a token's place in the row",
        lambda r: r["weights.same_with_ones"] is False and r["mask.adds_by_place"],
        POOLING,
        WAKE_OF_POOLING,
        OTHER_RESULTS,
        3,
        effect="the same tokens in another order give other slots",
        fix=MASK,
    ),
    Hypothesis(
        "mask.boolean",
        "D becomes a boolean in the aggregation: its gradient ends there",
        lambda r: r["mask.form"] == "none" or (r["mask.form"] is None and r.has_part("compared")),
        ("aggregation.decision_gradient_is_one_gain", "gradient.reaches_score"),
        WAKE_OF_POOLING,
        UNTRAINED,
        3,
        effect="the score is never trained",
        fix=MASK,
        training="the score is never trained",
    ),
    Hypothesis(
        "mask.of_other_samples",
        "the slots of a sample are masked by the D of another",
        lambda r: r["mask.of_own_sample"] is False,
        POOLING,
        (*WAKE_OF_POOLING, "errors.*"),
        MISLED,
        4,
        effect="a sample's loss moves the scores of the others",
        fix="rows (sample, slot) take decision.repeat_interleave(M, dim=0), or the mask stays B 1 K",
        training="gradients cross samples",
    ),
    Hypothesis(
        "mask.squeezed",
        "D is squeezed, which takes an axis of one sample or one token away too: the mask lies along another axis",
        lambda r: r["mask.of_one_sample"] in ("wrong", "raises") and r.has_part("squeeze"),
        ("aggregation.*", "shape.*", "sizes.*", "independence.*"),
        (*WAKE_OF_POOLING, "errors.*"),
        MISLED,
        4,
        effect="right in training, and wrong for the last batch or for one picture",
        fix="squeeze(-1), the axis that is meant",
    ),
    Hypothesis(
        "mask.by_slot",
        "D acts on the slots differently: {how}",
        _by_slot,
        ("aggregation.decision_gradient_is_one_gain", "gradient.matches_closed_form"),
        WAKE_OF_POOLING,
        MISLED,
        3,
        effect="some slots train the score and others do not",
        fix="one mask for all slots: logits + log(D).unsqueeze(1)",
    ),
    Hypothesis(
        "mask.by_token",
        "the mask's slope in D depends on the token's place in the row",
        lambda r: r["mask.form"] == "before the softmax, by place",
        ("aggregation.decision_gradient_is_one_gain", "gradient.matches_closed_form"),
        WAKE_OF_POOLING,
        MISLED,
        3,
        effect="tokens are trained at rates of their own",
        fix=MASK,
    ),
    Hypothesis(
        "mask.twice",
        "D masks the softmax and multiplies the pooled tokens once more",
        lambda r: r["mask.form"] == "before the softmax and on the pooled tokens",
        POOLING,
        WAKE_OF_POOLING,
        MISLED,
        4,
        effect="all slots push all kept scores in one direction",
        fix="D goes into the mask before the softmax and nowhere else",
    ),
    Hypothesis(
        "mask.after_softmax",
        "D multiplies the weights after the softmax, and nothing divides by what is left",
        lambda r: r["mask.leaves"] == "less than one in all" and weights_sum_to_one(r),
        POOLING,
        (*WAKE_OF_POOLING, "errors.*"),
        MISLED,
        3,
        effect="a slot's size depends on how much was dropped",
        fix=MASK,
    ),
)
