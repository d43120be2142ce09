"""The masked softmax: what D may change in the pooled tokens, and what it may not."""

from typing import NoReturn

import torch
from torch import Tensor

from sdtps_ref.properties.kit import values
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.expect import can_tell, expect_close, expect_finite, expect_within
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Inconclusive, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.signals.aggregation_analysis import (
    STRUCTURE,
    gradient_owed_to_decision,
    kept_tokens,
    rounding,
    some_dropped,
)

VALUES = Domain(dtypes=("float32", "float64"), scores=("normal",), tokens=("normal",), max_tokens=130)
SOME_DROPPED = Domain(**{**vars(VALUES), "min_dropped": 1, "min_keep": 2})
# In train mode a dropout inside the MLP, which is nobody's fault, falls on positions.
ANY_ORDER = Domain(**{**vars(SOME_DROPPED), "modes": (False,)})
HALF = Domain(dtypes=("float16", "bfloat16"), scores=("normal",), tokens=("normal",), max_tokens=130)
READABLE = Domain(
    dtypes=("float64",), scores=("normal",), tokens=("normal",), min_keep=2, max_tokens=33, draw_tokens=12, wide=True
)


@law(needs="aggregator", depends="shape.follows_inputs", domain=VALUES)
def unchanged_when_decision_is_one(probe: Probe) -> None:
    """softmax(logits - (1 - D) * 1e10) = softmax(logits) where D = 1: the mask changes nothing in the forward pass.

    Why: D goes into the aggregation for its gradient only. Forward, all kept tokens have D = 1, and the
    pooled tokens must be those of the plain softmax.
    Breaks when: the sign of the mask is wrong, D is compared or inverted, D multiplies the logits or the
    weights twice, or the softmax runs over the slots.
    Remedy: add `log D` to the logits, or subtract `(1 - D) * 1e10` from them, before `softmax(dim=-1)`.
    """
    kept = kept_tokens(probe, probe.case.keep)
    ones = probe.given("decision", torch.ones_like(kept[:, :, 0]))
    without = probe.aggregate(kept, None)
    with_ones = probe.aggregate(kept, ones)
    tolerance = rounding(probe, kept)
    why = "as aggregator(tokens, None) gives, since D = 1 masks nothing"
    expect_close(probe, "aggregator(tokens, ones)", "bmc", with_ones, without, tolerance=tolerance, because=why)


@law(needs="aggregator", depends="shape.follows_inputs", domain=VALUES)
def is_convex(probe: Probe) -> None:
    """W >= 0 and its rows sum to one: a slot lies between the kept tokens, and tokens that are all the same come back.

    Why: a slot is a weighted mean. If its weights sum to something else, its size depends on how many
    tokens were kept, and what comes after sees other magnitudes at every keep ratio.
    Breaks when: the softmax runs over the slots, D multiplies the weights and nothing divides by their
    new sum, the weights are a sigmoid, dropout falls on the weights, or a linear layer follows the product.
    Remedy: `weights = softmax(masked_logits, dim=-1)`, over the tokens, and then `weights @ tokens`.
    """
    case = probe.case
    kept = kept_tokens(probe, case.keep)
    ones = probe.given("decision", torch.ones_like(kept[:, :, 0]))
    tolerance = rounding(probe, kept)
    slots = (-1, case.slots, -1)
    expect_within(
        probe,
        "aggregator(tokens, ones)",
        "bmc",
        probe.aggregate(kept, ones),
        kept.amin(1, keepdim=True).expand(slots),
        kept.amax(1, keepdim=True).expand(slots),
        tolerance=tolerance,
        because="no weighted mean leaves the range of the kept tokens in that channel",
    )
    same = probe.given("same_tokens", probe.tokens[:, :1].expand(-1, case.num_tokens, -1).contiguous())
    expect_close(
        probe,
        "aggregator(identical tokens, D)",
        "bmc",
        probe.aggregate(same, some_dropped(probe)),
        same[:, :1].expand(slots),
        tolerance=tolerance,
        because="all tokens are the same, so weights that sum to one give that token back",
    )


@law(needs="aggregator", depends="shape.follows_inputs", domain=ANY_ORDER)
def permutation_invariant(probe: Probe) -> None:
    """aggregate(tokens[order], D[order]) = aggregate(tokens, D): the kept tokens are a set, not a sequence.

    Why: selectors hand over the tokens by score, by position or in no order at all, and the same
    picture must give the same slots.
    Breaks when: a position or a rank enters the logits, a recurrent or convolutional layer scores the
    tokens, or D is compared with the tokens of another order (sorted, cumulated) on its way to the mask.
    Remedy: compute every token's logits from that token alone; add positions to the tokens before the
    selection, if at all.
    """
    decision = some_dropped(probe)
    before = probe.aggregate(probe.tokens, decision)
    tolerance = rounding(probe, probe.tokens)
    can_tell(before.detach(), probe.tokens, tolerance)
    order = values.draw("normal", (1, probe.case.num_tokens), probe.case.seed)[0].argsort().tolist()
    tokens, reordered = probe.tokens[:, order], decision[:, order]
    expect_close(
        probe,
        f"aggregator(tokens[:, {_short(order)}], D[:, {_short(order)}])",
        "bmc",
        probe.aggregate(tokens, reordered),
        before,
        tolerance=tolerance,
        because="as before tokens and D were put into another order together",
    )


@law(needs="aggregator", depends="aggregation.is_convex", domain=READABLE)
def decision_gradient_is_one_gain(probe: Probe) -> None:
    """d out[m] / d D[k] = gain * W[m, k] * (token[k] - out[m]) at D = 1, with one gain > 0 for all slots and tokens.

    Why: this is how a slot tells the selection which tokens it would rather have. With a gain of its own
    for every slot some slots train the score and others do not, and nothing shows it.
    Breaks when: D is turned into a boolean or detached before the mask, it masks some slots or heads
    only, it multiplies the logits, the tokens or the result, or the sign of the mask is wrong.
    Remedy: one mask for all slots, made of D as it is: `logits + log(D).unsqueeze(1)`, gain 1 (as
    published, `logits - (1 - D).unsqueeze(1) * 1e10`, gain 1e10).
    """
    case = probe.case
    kept = kept_tokens(probe, case.keep)
    ones = probe.given("decision", torch.ones_like(kept[:, :, 0]), requires_grad=True)
    pooled = probe.aggregate(kept, ones)
    directions = probe.random(pooled, "directions")  # B M C
    slot_by_slot = torch.eye(case.slots).to(pooled)[:, None, :, None] * directions  # M B M C
    seen = probe.products(pooled, ones, slot_by_slot)  # B M K
    owed = gradient_owed_to_decision(probe, kept, pooled, directions).to(seen)
    expect_finite(probe, "gradient of pooled token[bm] to D[bk]", "bmk", seen)
    if not owed.abs().amax() > 1e-6:
        raise Inconclusive  # each slot sees one token only, so D cannot move it

    gains = (seen * owed).sum(-1) / (owed * owed).sum(-1)  # B M
    moved = gains[gains.isfinite() & seen.any(-1)]
    gain = moved.median() if moved.numel() else torch.zeros_like(owed[0, 0, 0])
    if not gain > 0:
        _refuse_gain(seen, owed)
    probe.findings["aggregator_gain"] = float(gain)
    off = (seen - gain * owed).abs().amax((0, 2))  # M
    tolerance = STRUCTURE * float(gain * owed.abs().amax())
    if off.amax() <= tolerance:
        return
    m = int(off.argmax())
    b = int((seen - gain * owed).abs().amax(-1)[:, m].argmax())
    explained = (seen[b, m] - gains[b, m] * owed[b, m]).abs().amax() <= tolerance
    expect_close(
        probe,
        f"gradient of pooled token m={m} to D[bk]",
        "bk",
        seen[:, m],
        gain * owed[:, m],
        tolerance=tolerance,
        because=f"the gain of this slot is {gains[b, m]:.4g} in sample b={b}, where that of others is {gain:.4g}"
        if explained
        else f"that is {gain:.4g} * W * (token - output), and no other multiple of it fits either",
    )


@law(needs="aggregator", depends="shape.follows_inputs", domain=HALF)
def finite_in_half(probe: Probe) -> None:
    """aggregate(tokens, D) is finite in float16 and bfloat16, with D of ones and with zeros in D.

    Why: half precision is how this is trained. float16 ends at 65504: 1e10 is infinite there, and
    infinity times 1 - D = 0 is NaN.
    Breaks when: the mask's constant is a half-precision tensor, `masked_fill` gets a number that float16
    does not hold, or exponentials are taken without subtracting the largest logit.
    Remedy: `logits + torch.where(D > 0, log(D), -inf)`, or a fill of `torch.finfo(dtype).min`; and torch's
    own softmax.
    """
    kept = kept_tokens(probe, probe.case.keep)
    ones = probe.given("decision", torch.ones_like(kept[:, :, 0]))
    why = "float16 ends at 65504" if probe.case.dtype == "float16" else ""
    expect_finite(probe, "aggregator(tokens, ones)", "bmc", probe.aggregate(kept, ones), why)
    some = some_dropped(probe)
    expect_finite(probe, "aggregator(tokens, D with zeros)", "bmc", probe.aggregate(probe.tokens, some), why)


def _refuse_gain(seen: Tensor, owed: Tensor) -> NoReturn:
    """Name the entry that contradicts a positive gain the most; where all are zero, the one that should be largest."""
    worst = (seen * owed).argmin() if seen.any() else owed.abs().argmax()
    b, m, k = (int(i) for i in torch.unravel_index(worst, seen.shape))
    why = "it rewards what it should punish" if seen.any() else "it is zero everywhere, so D does not reach the softmax"
    raise Violation(
        f"gradient of pooled token m={m} to D[b={b}, k={k}] = {seen[b, m, k]:.4g}, but should be a positive "
        f"multiple of {owed[b, m, k]:.4g}, which is W * (token - output): {why}",
        check=seen[b, m, k] * owed[b, m, k] > 0,
    )


def _short(order: list[int]) -> str:
    return str(order) if len(order) <= 8 else "order"
