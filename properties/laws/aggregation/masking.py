"""D with zeros in it, over all N tokens: to mask is to gather, forward and backward. A part of `aggregation`."""

import torch
from torch import Tensor

from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.expect import can_tell, expect_close, expect_finite
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Inconclusive
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.aggregation.pooling import ANY_ORDER, SOME_DROPPED
from sdtps_ref.properties.signals.aggregation_analysis import rounding, some_dropped

SMALL = Domain(**{**vars(ANY_ORDER), "dtypes": ("float64", "float32"), "draw_tokens": 12})
# Of the largest gradient owed. Masks that multiply leak their epsilon of 1e-6; a wrong one is off by all of it.
LEAK = 1e-3


@law(needs="aggregator", depends="shape.follows_inputs", domain=SOME_DROPPED)
def ignores_dropped_tokens(probe: Probe) -> None:
    """W[m, n] = 0 where D[n] = 0: a dropped token can hold anything, the pooled tokens stay the same.

    Why: a token that was dropped and still weighs in was not dropped, and the sequence it is compared
    with (gathered first) gives another answer.
    Breaks when: the mask's sign is wrong, the mask is too weak (-1, or D times the logits, which leaves
    a dropped token exp(0)), or it is applied after the softmax and divided away again.
    Remedy: mask before the softmax with 1e10 or -inf; check that weights at D = 0 are exactly zero.
    """
    decision = some_dropped(probe)
    # In one layout: a dropout on the tokens draws along the strides, so that the same seed drops others in another.
    tokens = probe.tokens.contiguous()
    other = probe.random(tokens, "other_tokens", seed=1)
    mixed = torch.where(decision.bool().unsqueeze(-1), tokens, other)
    changed = probe.given("changed_tokens", mixed)
    before = probe.aggregate(tokens, decision)
    tolerance = rounding(probe, tokens)
    can_tell(before.detach(), tokens, tolerance)
    after = probe.aggregate(changed, decision)
    expect_close(
        probe,
        "aggregator(changed tokens, D)",
        "bmc",
        after,
        before,
        tolerance=tolerance,
        because="as before; only tokens with D = 0 were changed, so they still weigh in",
    )


@law(needs="aggregator", depends="shape.follows_inputs", domain=ANY_ORDER)
def equals_gather_first(probe: Probe) -> None:
    """aggregate(all N tokens, D) = aggregate(tokens at keep_indices, ones): masking and gathering are the same.

    Why: training code masks all N tokens, deployment gathers K of them; both must be one function.
    Breaks when: weights are normalised over N (an average divided by N, a softmax before the mask) or
    over the slots, or a position enters the logits.
    Remedy: mask the logits, then one softmax over the token axis, then the product with the tokens.
    """
    decision = some_dropped(probe)
    _, kept = _gathered(probe, decision)
    ones = probe.given("ones", torch.ones_like(kept[:, :, 0]))
    gathered = probe.aggregate(kept, ones)
    tolerance = rounding(probe, kept)
    can_tell(gathered.detach(), probe.tokens, tolerance)
    masked = probe.aggregate(probe.tokens, decision)
    why = "as aggregator(tokens where D = 1, ones) gives"
    expect_close(probe, "aggregator(all tokens, D)", "bmc", masked, gathered, tolerance=tolerance, because=why)


# A warning, since the contract hands an aggregator kept tokens, whose D is one: `logits + log(D)` is right there. Where
# an implementation's own wiring masks all N tokens, gradient.is_finite and gradient.matches_closed_form refuse.
@law(
    needs="aggregator",
    level="SHOULD",
    depends=("aggregation.equals_gather_first", "aggregation.decision_gradient_is_one_gain"),
    domain=SMALL,
)
def gradient_equals_gather_first(probe: Probe) -> None:
    """d aggregate(all N tokens, D) is d aggregate(kept tokens, ones): the same to what was kept, and no token that
    was dropped receives any.

    Why: whoever masks all N tokens trains through this gradient, and it goes wrong where D = 0: the logarithm
    of zero has an infinite slope, and a branch for zeros easily forgets D altogether. The forward pass is right
    all the same. Code that gathers first never meets a zero, and may leave it at that.
    Breaks when: `log(D)` is taken of zeros and then hidden by `where` or by weights of zero (NaN), D becomes a
    boolean as soon as it has zeros in it, or dropped tokens are read on another road.
    Remedy: `torch.where(D > 0, torch.where(D > 0, D, 1.0).log(), -torch.inf)`: what is not taken must be harmless
    too.
    """
    hard = some_dropped(probe)
    decision = probe.given("decision", hard, requires_grad=True)
    tokens = probe.tracked_tokens()
    positions, kept = _gathered(probe, hard)
    kept = probe.given("kept_tokens", kept, requires_grad=True)
    ones = probe.given("ones", torch.ones_like(kept[:, :, 0]), requires_grad=True)
    gathered, masked = probe.aggregate(kept, ones), probe.aggregate(tokens, decision)
    cotangent = probe.random(gathered)
    for source, axes, whole, part in (("D", "bn", decision, ones), ("tokens", "bnc", tokens, kept)):
        owed_kept = probe.gradient(gathered, part, cotangent)
        if not owed_kept.abs().amax() > 1e-9:
            raise Inconclusive  # one token takes all, so D cannot move anything
        seen = probe.gradient(masked, whole, cotangent)
        expect_finite(
            probe,
            f"gradient of aggregator(all tokens, D) to {source}",
            axes,
            seen,
            "look at what zeros in D go through",
        )
        dropped_too = seen if source == "D" else torch.zeros_like(seen)  # at D = 0 some masks have a slope, some none
        index = positions.view(*positions.shape, *[1] * (seen.dim() - 2)).expand_as(owed_kept)
        expect_close(
            probe,
            f"gradient of aggregator(all tokens, D) to {source}",
            axes,
            seen,
            dropped_too.scatter(1, index, owed_kept),
            tolerance=LEAK * float(owed_kept.abs().amax()),
            because=f"as aggregator(tokens where D = 1, ones) gives{', and 0 where D = 0' * (source == 'tokens')}",
        )


def _gathered(probe: Probe, decision: Tensor) -> tuple[Tensor, Tensor]:
    """Where D = 1, B K; and the tokens there, B K C."""
    positions = decision.nonzero()[:, 1].view(probe.case.batch, -1)
    kept = probe.tokens.gather(1, positions.unsqueeze(-1).expand(-1, -1, probe.case.dim))
    return positions, probe.given("kept_tokens", kept)
