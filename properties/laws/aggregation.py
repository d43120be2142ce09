"""The masked softmax: what D may change in the pooled tokens, and what it may not."""

import torch
from torch import Tensor

from sdtps_ref.properties.domain import Domain
from sdtps_ref.properties.expect import can_tell, expect_close
from sdtps_ref.properties.law import law
from sdtps_ref.properties.probe import Probe

# A mask that is added owes the exact value; one that multiplies (DynamicViT's policy softmax, with its
# epsilon of 1e-6) owes it to within rounding. Wrong masks are off by 1e-2 and more.
ROUNDING = {"float64": 1e-5, "float32": 5e-5}
VALUES = Domain(dtypes=("float32", "float64"), scores=("normal",), tokens=("normal",), max_tokens=130)
SOME_DROPPED = Domain(**{**vars(VALUES), "min_dropped": 1, "min_keep": 2})


@law(needs="aggregator", depends="shape.follows_inputs", domain=VALUES)
def unchanged_when_decision_is_one(probe: Probe) -> None:
    """softmax(logits - (1 - D) * 1e10) = softmax(logits) where D = 1: the mask changes nothing in the forward pass.

    Why: D goes into the aggregation for its gradient only. Forward, all kept tokens have D = 1, and the
    pooled tokens must be those of the plain softmax.
    Breaks when: the sign of the mask is wrong, D is compared or inverted, D multiplies the logits or the
    weights twice, or the softmax runs over the slots.
    Remedy: add `log D` to the logits, or subtract `(1 - D) * 1e10` from them, before `softmax(dim=-1)`.
    """
    kept = _kept(probe, probe.case.keep)
    ones = probe.given("decision", torch.ones_like(kept[:, :, 0]))
    without = probe.aggregate(kept, None)
    with_ones = probe.aggregate(kept, ones)
    tolerance = _tolerance(probe, kept)
    expect_close(probe, "aggregator(tokens, ones)", "bmc", with_ones, without, tolerance=tolerance)


@law(needs="aggregator", depends="shape.follows_inputs", domain=SOME_DROPPED)
def ignores_dropped_tokens(probe: Probe) -> None:
    """W[m, n] = 0 where D[n] = 0: a dropped token can hold anything, the pooled tokens stay the same.

    Why: a token that was dropped and still weighs in was not dropped, and the sequence it is compared
    with (gathered first) gives another answer.
    Breaks when: the mask's sign is wrong, the mask is too weak (-1, or D times the logits, which leaves
    a dropped token exp(0)), or it is applied after the softmax and divided away again.
    Remedy: mask before the softmax with 1e10 or -inf; check that weights at D = 0 are exactly zero.
    """
    decision = _some_dropped(probe)
    other = probe.random(probe.tokens, "other_tokens", seed=1)
    mixed = torch.where(decision.bool().unsqueeze(-1), probe.tokens, other)
    changed = probe.given("changed_tokens", mixed)
    before = probe.aggregate(probe.tokens, decision)
    tolerance = _tolerance(probe, probe.tokens)
    can_tell(before.detach(), probe.tokens, tolerance)
    after = probe.aggregate(changed, decision)
    expect_close(
        probe,
        "pooled tokens after changing dropped ones",
        "bmc",
        after,
        before,
        tolerance=tolerance,
        because="tokens with D = 0 still weigh in",
    )


@law(needs="aggregator", depends="shape.follows_inputs", domain=SOME_DROPPED)
def equals_gather_first(probe: Probe) -> None:
    """aggregate(all N tokens, D) = aggregate(tokens at keep_indices, ones): masking and gathering are the same.

    Why: training code masks all N tokens, deployment gathers K of them; both must be one function.
    Breaks when: weights are normalised over N (an average divided by N, a softmax before the mask) or
    over the slots, or a position enters the logits.
    Remedy: mask the logits, then one softmax over the token axis, then the product with the tokens.
    """
    decision = _some_dropped(probe)
    positions = decision.nonzero()[:, 1].view(probe.case.batch, -1)
    kept = probe.given("kept_tokens", probe.tokens.gather(1, positions.unsqueeze(-1).expand(-1, -1, probe.case.dim)))
    ones = probe.given("ones", torch.ones_like(kept[:, :, 0]))
    gathered = probe.aggregate(kept, ones)
    tolerance = _tolerance(probe, kept)
    can_tell(gathered.detach(), probe.tokens, tolerance)
    masked = probe.aggregate(probe.tokens, decision)
    expect_close(probe, "aggregator(all tokens, D)", "bmc", masked, gathered, tolerance=tolerance)


def _kept(probe: Probe, keep: int) -> Tensor:
    """The first `keep` tokens: which ones does not matter to an aggregator."""
    kept = probe.tokens[:, :keep]
    probe.script.name(kept, f"{probe.script.shown(probe.tokens)}[:, :{keep}]")
    return kept


def _some_dropped(probe: Probe) -> Tensor:
    """A hard D over all N tokens that keeps the K highest scores: B N."""
    kept = probe.score.detach().topk(probe.case.keep).indices
    hard = torch.zeros(probe.case.batch, probe.case.num_tokens, dtype=probe.tokens.dtype, device=probe.tokens.device)
    return probe.given("decision", hard.scatter(1, kept, 1.0))


def _tolerance(probe: Probe, tokens: Tensor) -> float:
    return ROUNDING[probe.case.dtype] * float(tokens.abs().amax())
