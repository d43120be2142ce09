"""What may be wrong with the weights: what they sum to, and what they depend on."""

from __future__ import annotations

from sdtps_ref.properties.engine.causes.hypotheses.speaking import POOLING, WAKE_OF_POOLING, weights_sum_to_one
from sdtps_ref.properties.engine.causes.hypothesis import MISLED, OTHER_RESULTS, Hypothesis, Readings


def _divided(r: Readings) -> bool:
    sums, three = r["weights.sums"], r["weights.sum_of_three"]
    return bool(sums) and abs(sums[0] * 5 - 1) < 1e-3 and abs(sums[1] * 5 - 1) < 1e-3 and abs(three * 3 - 1) < 1e-3


HYPOTHESES = (
    Hypothesis(
        "weights.dropout",
        "in train mode dropout takes weights away at random, and scales the others",
        lambda r: r.has_part("dropout"),
        ("aggregation.*", "gradient.matches_closed_form"),
        WAKE_OF_POOLING,
        OTHER_RESULTS,
        3,
        effect="a slot's weights no longer sum to one, and kept tokens go missing",
        fix="dropout on the tokens or on the logits, before the softmax",
    ),
    Hypothesis(
        "weights.over_slots",
        "the softmax runs over the slots: they compete for each token",
        lambda r: r["weights.columns_are_one"] and not weights_sum_to_one(r),
        POOLING,
        (*WAKE_OF_POOLING, "errors.*"),
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
        POOLING,
        (*WAKE_OF_POOLING, "errors.*"),
        OTHER_RESULTS,
        4,
        effect="a slot's size depends on how many tokens were kept",
        fix="weights @ tokens, whose rows sum to one",
    ),
    Hypothesis(
        "weights.sigmoid",
        "each weight is taken by itself, as by a sigmoid: rows sum to anything",
        lambda r: r["weights.each_by_itself"] and not weights_sum_to_one(r) and not r["weights.columns_are_one"],
        POOLING,
        (*WAKE_OF_POOLING, "errors.*"),
        OTHER_RESULTS,
        3,
        effect="a slot's size depends on how many tokens were kept",
        fix="weights = softmax(masked_logits, dim=-1)",
    ),
    Hypothesis(
        "weights.not_one",
        "the weights of a slot sum to something else than one",
        lambda r: bool(r["weights.sums"]) and not weights_sum_to_one(r),
        POOLING,
        (*WAKE_OF_POOLING, "errors.*"),
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
        WAKE_OF_POOLING,
        MISLED,
        4,
        effect="the same picture gives other slots in another batch",
        fix="LayerNorm",
    ),
    Hypothesis(
        "weights.by_place",
        "a token's place in the row enters its logits",
        lambda r: r["logits.add_by_place"] and r["logits.of_own_token"],
        POOLING,
        WAKE_OF_POOLING,
        OTHER_RESULTS,
        3,
        effect="the same tokens in another order give other slots",
        fix="compute a token's logits from that token alone",
    ),
    Hypothesis(
        "logits.of_other_tokens",
        "a token's logits are computed from other tokens too, as by a reshape where a transpose belongs",
        lambda r: r["logits.of_own_token"] is False and r["weights.of_own_sample"] and r["pooled.shape"] == "right",
        POOLING,
        WAKE_OF_POOLING,
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
        (*WAKE_OF_POOLING, "shape.*"),
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
        WAKE_OF_POOLING,
        MISLED,
        3,
        effect="dropped tokens are trained to look like what was kept",
        fix="no road from the tokens to the result but the masked weights",
    ),
)
