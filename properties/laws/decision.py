"""The decision matrix D: hard forward, soft backward."""

import torch

from sdtps_ref.properties.domain import Domain
from sdtps_ref.properties.expect import expect_equal
from sdtps_ref.properties.law import Violation, law
from sdtps_ref.properties.probe import Probe

JACOBIAN = Domain(dtypes=("float64",), scores=("normal", "distinct"), taus=(1.0, 0.5, 2.0), min_tokens=3, max_tokens=12)
STRUCTURE = 1e-6  # a softmax is explained to 1e-12 in float64; what is not a softmax, to 0.1 or worse


@law(needs="selector", depends="shape.follows_inputs")
def forward_is_hard(probe: Probe) -> None:
    """D = hard_mask + (soft_mask - stop_gradient(soft_mask)): forward, every entry is exactly 0 or 1, K ones a row.

    Why: D multiplies 1e10 in the published mask, so a D of 0.99999994 moves a logit by 596 in float32,
    and the slots pool something else than what they were trained to.
    Breaks when: the parentheses are left out (Python adds `hard + soft` first, and 8 to 14 % of the
    entries are no longer exact), the soft mask is used forward, or K is off by one.
    Remedy: write `hard + (soft - soft.detach())`, or `(hard - soft.detach()) + soft`.
    """
    decision = probe.select().decision
    owed = (decision.detach() > 0.5).to(decision.dtype)
    expect_equal(probe, "decision", "bn", decision, owed)
    ones = owed.sum(-1, dtype=torch.float64)
    if not (ones == probe.case.keep).all():
        row = int((ones != probe.case.keep).nonzero()[0])
        shown = probe.script.shown(decision)
        raise Violation(
            f"decision[b={row}] has {int(ones[row])} ones, but should have K = {probe.case.keep}",
            check=f"{shown}[{row}].detach().double().sum().item() == {probe.case.keep}",
        )


@law(needs="selector", depends="decision.forward_is_hard")
def keeps_top_k(probe: Probe) -> None:
    """hard_mask = 1 at topk(score, K): no dropped token scores higher than a kept one.

    Why: the forward pass chooses by the noiseless score; noise explores only in the gradient. Choosing
    by the noisy score makes the tokens that the next layer sees random, in evaluation too if noise stays on.
    Breaks when: topk runs on `score + noise` or on the soft mask that contains it, `largest=False` or an
    ascending sort keeps the lowest, or indices of one sample are used for another.
    Remedy: `keep_indices = torch.topk(score, K, dim=-1).indices`, before any noise is added.
    """
    decision = probe.select().decision
    kept = decision.detach() > 0.5
    score = probe.score.detach().double()
    lowest_kept = score.masked_fill(~kept, float("inf")).amin(-1)
    highest_dropped = score.masked_fill(kept, -float("inf")).amax(-1)
    # An implementation may rescale the score first; that may tie neighbours within the dtype's error.
    slack = 4 * torch.finfo(probe.score.dtype).eps * score.abs().amax(-1)
    wrong = highest_dropped > lowest_kept + slack
    if wrong.any():
        b = int(wrong.nonzero()[0])
        low = int(score[b].masked_fill(~kept[b], float("inf")).argmin())
        high = int(score[b].masked_fill(kept[b], -float("inf")).argmax())
        shown = probe.script.shown(decision)
        raise Violation(
            f"decision[b={b}] keeps token {low} with score {score[b, low]:.6g} and drops token {high} with "
            f"score {score[b, high]:.6g}, but should keep the {probe.case.keep} highest scores",
            check=f"not ({shown}[{b}, {low}] > 0.5 and {shown}[{b}, {high}] < 0.5)",
        )
