"""What may be wrong with the numbers in the aggregation: gains, overflows, logarithms of zero, dtypes."""

from __future__ import annotations

from sdtps_ref.properties.engine.causes.hypotheses.speaking import MASK, WAKE_OF_POOLING, gain_far_from_one
from sdtps_ref.properties.engine.causes.hypothesis import OTHER_RESULTS, STEEP, UNTRAINED, Hypothesis

HYPOTHESES = (
    Hypothesis(
        "dtype.narrowed",
        "float64 goes on in a narrower dtype: results are right to seven digits where sixteen are owed",
        lambda r: r["float64.rounds"] is True and r.has_part("narrowed"),
        ("sizes.*", "gradient.is_the_derivative", "aggregation.*"),
        (),
        OTHER_RESULTS,
        1,
        effect="gradients cannot be checked in float64",
        fix="torch.promote_types(x.dtype, torch.float32), not float32",
    ),
    Hypothesis(
        "mask.gain",
        "the mask multiplies the gradient of the score by {gain}",
        gain_far_from_one,
        ("gradient.well_conditioned", "gradient.is_finite*", "training.gradient_stays_*"),
        ("errors.fully_masked_row", "aggregation.finite_in_half", "runtime.*", "gradient.*"),
        STEEP,
        effect="SGD diverges; Adam spends its step on noise and keeps tokens at random",
        fix="logits + log D in place of logits - (1 - D) * 1e10: the same forward, to the bit",
        training="gain {gain}",
    ),
    Hypothesis(
        "mask.overflow",
        "the mask's constant is a number that float16 does not hold: infinite, and times zero NaN",
        lambda r: r["pooled.finite_in_half"] is False and bool(gain_far_from_one(r)),
        ("aggregation.finite_in_half", "gradient.is_finite_in_float16", "gradient.well_conditioned"),
        (*WAKE_OF_POOLING, "errors.*"),
        UNTRAINED,
        3,
        effect="in float16 the forward pass is NaN",
        fix=MASK,
        training="NaN in float16",
    ),
    Hypothesis(
        "logits.overflow",
        "exponentials of the logits are taken without subtracting the largest",
        lambda r: r["pooled.finite_in_half"] is False and not gain_far_from_one(r),
        ("aggregation.finite_in_half", "gradient.is_finite*"),
        WAKE_OF_POOLING,
        UNTRAINED,
        2,
        effect="float16 ends at exp(11), and one NaN ends the training",
        fix="use torch.softmax",
        training="NaN in float16",
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
        WAKE_OF_POOLING,
        UNTRAINED,
        3,
        effect="whoever masks all N tokens does not train the score",
        fix=MASK,
        training="",
    ),
    Hypothesis(
        "mask.log_of_zero",
        "the logarithm of D is taken where D = 0: an infinite slope, and times a weight of zero NaN",
        lambda r: (
            r["mask.gradient_at_zeros"] == "not finite"
            and r["mask.form"] == "before the softmax"
            and not gain_far_from_one(r)
            and r.fails("gradient.is_finite*")
        ),
        ("aggregation.gradient_equals_gather_first", "gradient.is_finite*"),
        WAKE_OF_POOLING,
        UNTRAINED,
        2,
        effect="where all N tokens are masked one backward pass makes every parameter NaN",
        fix="torch.where(D > 0, torch.where(D > 0, D, 1.0).log(), -torch.inf)",
        training="NaN gradients",
    ),
    Hypothesis(
        "mask.log_of_zero_if_masked",
        "the logarithm of D is taken where D = 0, were all N tokens to be masked: its gradient is NaN",
        lambda r: (
            r["mask.gradient_at_zeros"] == "not finite"
            and r["mask.form"] == "before the softmax"
            and not gain_far_from_one(r)
            and not r.fails("gradient.is_finite*")
        ),
        ("aggregation.gradient_equals_gather_first",),
        effect="nothing, as long as only kept tokens are pooled, whose D is 1",
        fix="torch.where(D > 0, torch.where(D > 0, D, 1.0).log(), -torch.inf)",
    ),
    Hypothesis(
        "mask.filled_row",
        "a row in which nothing is kept pools all its tokens evenly, in place of failing",
        lambda r: r["pooled.of_nothing"] == "finite" and not gain_far_from_one(r),
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
