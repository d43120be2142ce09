"""What may be wrong with the aggregation: the mask, the weights, the logits."""

from __future__ import annotations

from typing import Any

from sdtps_ref.properties.engine.causes.hypothesis import MISLED, OTHER_RESULTS, STEEP, UNTRAINED, Hypothesis, Readings

POOL = ("aggregation.*", "gradient.matches_closed_form", "gradient.reaches_score", "symmetry.*")
WAKE = ("aggregation.*", "gradient.*", "errors.fully_masked_row", "symmetry.*", "runtime.*", "multimodal.*",
        "training.*", "branches.*")  # fmt: skip
MASK = "weights = softmax(logits + log D, dim=-1), with -inf where D = 0"


def _ones(r: Readings) -> bool:
    sums = r["weights.sums"]
    return bool(sums) and abs(sums[0] - 1) < 1e-3 and abs(sums[1] - 1) < 1e-3


def _divided(r: Readings) -> bool:
    sums, three = r["weights.sums"], r["weights.sum_of_three"]
    return bool(sums) and abs(sums[0] * 5 - 1) < 1e-3 and abs(sums[1] * 5 - 1) < 1e-3 and abs(three * 3 - 1) < 1e-3


def _gain(r: Readings) -> Any:
    gain = r["mask.gain"] if r["mask.form"] == "before the softmax" else r["wiring.gain"]
    if not isinstance(gain, float) or 1e-3 <= gain <= 1e3 or gain <= 0:
        return None
    return {"gain": f"{gain:.0e}"}


def _by_slot(r: Readings) -> Any:
    gains = r["mask.gains"]
    if r["mask.form"] != "before the softmax, slot by slot":
        return None
    none = sum(abs(gain) < 1e-9 for gain in gains)
    return {"how": f"{none} of {len(gains)} slots get none of its gradient" if none else "each has a gain of its own"}


HYPOTHESES = (
    Hypothesis(
        "mask.gain",
        "the mask multiplies the gradient of the score by {gain}",
        _gain,
        ("gradient.well_conditioned", "gradient.is_finite_in_float16", "training.gradient_stays_bounded"),
        ("errors.fully_masked_row", "aggregation.finite_in_half", "runtime.*", "gradient.*"),
        STEEP,
        effect="SGD diverges; Adam spends its step on noise and keeps tokens at random",
        fix="logits + log D in place of logits - (1 - D) * 1e10: the same forward, to the bit",
        training="gain {gain}",
    ),
    Hypothesis(
        "mask.overflow",
        "the mask's constant is a number that float16 does not hold: infinite, and times zero NaN",
        lambda r: r["pooled.finite_in_half"] is False and bool(_gain(r)),
        ("aggregation.finite_in_half", "gradient.is_finite_in_float16", "gradient.well_conditioned"),
        (*WAKE, "errors.*"),
        UNTRAINED,
        3,
        effect="in float16 the forward pass is NaN",
        fix=MASK,
        training="NaN in float16",
    ),
    Hypothesis(
        "logits.overflow",
        "exponentials of the logits are taken without subtracting the largest",
        lambda r: r["pooled.finite_in_half"] is False and not _gain(r),
        ("aggregation.finite_in_half", "gradient.is_finite*"),
        WAKE,
        UNTRAINED,
        2,
        effect="float16 ends at exp(11), and one NaN ends the training",
        fix="use torch.softmax",
        training="NaN in float16",
    ),
    Hypothesis(
        "mask.sign",
        "the mask has the wrong sign: dropped tokens win",
        lambda r: r["mask.leaves"] == "the dropped alone",
        POOL,
        (*WAKE, "errors.*"),
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
        WAKE,
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
        POOL,
        (*WAKE, "errors.*"),
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
            and _ones(r)
            and r["mask.form"] != "none"
            and not _gain(r)
            and r["logits.of_own_token"] is not False
        ),
        ("aggregation.ignores_dropped_tokens", "aggregation.equals_gather_first"),
        (*WAKE, "errors.*"),
        OTHER_RESULTS,
        effect="what is dropped weighs in",
        fix=MASK,
    ),
    Hypothesis(
        "mask.multiplies_logits",
        "D multiplies the logits that it keeps by {factor}",
        lambda r: isinstance(r["mask.multiplies_logits"], float) and {"factor": f"{r['mask.multiplies_logits']:.3g}"},
        POOL,
        WAKE,
        OTHER_RESULTS,
        3,
        effect="with D the slots are sharper than without, and D's gradient is another",
        fix=MASK,
    ),
    Hypothesis(
        "mask.by_place",
        "the mask adds a term by a token's place in the row",
        lambda r: r["weights.same_with_ones"] is False and r["mask.adds_by_place"],
        POOL,
        WAKE,
        OTHER_RESULTS,
        3,
        effect="the same tokens in another order give other slots",
        fix=MASK,
    ),
    Hypothesis(
        "mask.boolean",
        "D becomes a boolean in the aggregation: its gradient ends there",
        lambda r: r["mask.form"] == "none",
        ("aggregation.decision_gradient_is_one_gain", "gradient.reaches_score"),
        WAKE,
        UNTRAINED,
        3,
        effect="the score is never trained",
        fix=MASK,
        training="the score is never trained",
    ),
    Hypothesis(
        "mask.boolean_at_zeros",
        "D becomes a boolean as soon as there are zeros in it",
        lambda r: (
            r["mask.gradient_at_zeros"] == "none"
            and r["mask.form"] not in (None, "none")
            and r["mask.leaves"] != "the dropped alone"
        ),
        ("aggregation.gradient_equals_gather_first", "gradient.*"),
        WAKE,
        UNTRAINED,
        3,
        effect="whoever masks all N tokens does not train the score",
        fix=MASK,
        training="",
    ),
    Hypothesis(
        "mask.log_of_zero",
        "the logarithm of D is taken where D = 0: an infinite slope, and times a weight of zero NaN",
        lambda r: r["mask.gradient_at_zeros"] == "not finite" and r["mask.form"] == "before the softmax",
        ("aggregation.gradient_equals_gather_first", "gradient.is_finite*"),
        WAKE,
        UNTRAINED,
        2,
        effect="where all N tokens are masked one backward pass makes every parameter NaN",
        fix="torch.where(D > 0, torch.where(D > 0, D, 1.0).log(), -torch.inf)",
        training="NaN gradients",
    ),
    Hypothesis(
        "mask.by_slot",
        "D acts on the slots differently: {how}",
        _by_slot,
        ("aggregation.decision_gradient_is_one_gain", "gradient.matches_closed_form"),
        WAKE,
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
        WAKE,
        MISLED,
        3,
        effect="tokens are trained at rates of their own",
        fix=MASK,
    ),
    Hypothesis(
        "mask.twice",
        "D masks the softmax and multiplies the pooled tokens once more",
        lambda r: r["mask.form"] == "before the softmax and on the pooled tokens",
        POOL,
        WAKE,
        MISLED,
        4,
        effect="all slots push all kept scores in one direction",
        fix="D goes into the mask before the softmax and nowhere else",
    ),
    Hypothesis(
        "mask.after_softmax",
        "D multiplies the weights after the softmax, and nothing divides by what is left",
        lambda r: r["mask.leaves"] == "less than one in all" and _ones(r),
        POOL,
        (*WAKE, "errors.*"),
        MISLED,
        3,
        effect="a slot's size depends on how much was dropped",
        fix=MASK,
    ),
    Hypothesis(
        "weights.over_slots",
        "the softmax runs over the slots: they compete for each token",
        lambda r: r["weights.columns_are_one"] and not _ones(r),
        POOL,
        (*WAKE, "errors.*"),
        MISLED,
        4,
        effect="a slot's size depends on how many tokens were kept, and D cancels",
        fix="weights = softmax(masked_logits, dim=-1), over the tokens",
        training="D cancels in the weights",
    ),
    Hypothesis(
        "weights.divided",
        "the weighted mean is divided by the number of tokens once more",
        _divided,
        POOL,
        (*WAKE, "errors.*"),
        OTHER_RESULTS,
        4,
        effect="a slot's size depends on how many tokens were kept",
        fix="weights @ tokens, whose rows sum to one",
    ),
    Hypothesis(
        "weights.sigmoid",
        "each weight is taken by itself, as by a sigmoid: rows sum to anything",
        lambda r: r["weights.each_by_itself"] and not _ones(r) and not r["weights.columns_are_one"],
        POOL,
        (*WAKE, "errors.*"),
        OTHER_RESULTS,
        3,
        effect="a slot's size depends on how many tokens were kept",
        fix="weights = softmax(masked_logits, dim=-1)",
    ),
    Hypothesis(
        "weights.not_one",
        "the weights of a slot sum to something else than one",
        lambda r: bool(r["weights.sums"]) and not _ones(r),
        POOL,
        (*WAKE, "errors.*"),
        OTHER_RESULTS,
        1,
        effect="a slot's size depends on how many tokens were kept",
        fix="weights = softmax(masked_logits, dim=-1), then weights @ tokens",
    ),
    Hypothesis(
        "logits.over_batch",
        "a token's logits depend on the other samples of the batch, as with BatchNorm in train mode",
        lambda r: r["weights.of_own_sample"] is False,
        ("symmetry.batch_independent", "aggregation.*"),
        WAKE,
        MISLED,
        4,
        effect="the same picture gives other slots in another batch",
        fix="LayerNorm",
    ),
    Hypothesis(
        "weights.by_place",
        "a token's place in the row enters its logits",
        lambda r: r["logits.add_by_place"] and r["logits.of_own_token"],
        POOL,
        WAKE,
        OTHER_RESULTS,
        3,
        effect="the same tokens in another order give other slots",
        fix="compute a token's logits from that token alone",
    ),
    Hypothesis(
        "logits.of_other_tokens",
        "a token's logits are computed from other tokens too, as by a reshape where a transpose belongs",
        lambda r: r["logits.of_own_token"] is False and r["weights.of_own_sample"] and r["pooled.shape"] == "right",
        POOL,
        WAKE,
        MISLED,
        3,
        effect="what is dropped weighs in, and the order of the tokens decides",
        fix="layers(tokens).transpose(1, 2)",
    ),
    Hypothesis(
        "pooled.transposed",
        "the pooled tokens come out transposed",
        lambda r: r["pooled.shape"] == "transposed",
        ("shape.*",),
        (*WAKE, "shape.*"),
        OTHER_RESULTS,
        3,
        effect="slots and channels change places",
        fix="weights @ tokens: B M K times B K C",
    ),
    Hypothesis(
        "pooled.reaches_dropped",
        "a gradient reaches tokens that D drops",
        lambda r: (
            r["mask.dropped_tokens_receive"]
            and r["mask.leaves"] == "nothing"
            and r["logits.of_own_token"]
            and r["weights.of_own_sample"]
        ),
        ("aggregation.gradient_equals_gather_first",),
        WAKE,
        MISLED,
        3,
        effect="dropped tokens are trained to look like what was kept",
        fix="no road from the tokens to the result but the masked weights",
    ),
    Hypothesis(
        "mask.filled_row",
        "a row in which nothing is kept pools all its tokens evenly, in place of failing",
        lambda r: r["pooled.of_nothing"] == "finite" and not _gain(r),
        ("errors.fully_masked_row",),
        (),
        specific=1,
        effect="a mask that was lost on its way is not noticed",
        fix="let it be NaN, or raise",
    ),
    Hypothesis(
        "dtype.buffer",
        "under autocast the aggregation raises: a buffer is made in the tokens' dtype where the logits have another",
        lambda r: (r["pooled.under_autocast"] or "right") != "right",
        ("runtime.autocast",),
        ("runtime.*",),
        specific=3,
        effect="it does not run in mixed precision",
        fix="take the dtype from what is written: torch.zeros_like(made)",
    ),
)
