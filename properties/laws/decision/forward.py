"""D in the forward pass: one at the K highest scores, zero elsewhere."""

import torch
from torch import Tensor

from sdtps_ref.properties.kit.digits import apart
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.expect import expect_equal
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe

NOISY = Domain(dtypes=("float32", "float64"), scores=("distinct", "normal"), max_tokens=130)


@law(needs="selector", depends="shape.follows_inputs")
def forward_is_hard(probe: Probe) -> None:
    """D = hard_mask + (soft_mask - stop_gradient(soft_mask)): forward, every entry is exactly 0 or 1, K ones a row.

    Why: D multiplies 1e10 in the published mask, so a D of 0.99999994 moves a logit by 596 in float32,
    and the slots pool something else than what they were trained to.
    Breaks when: the parentheses are left out (Python adds `hard + soft` first, and 8 to 14 % of the
    entries are no longer exact), the soft mask is used forward, K is off by one, or a threshold at the K-th
    score lets all that tie with it pass.
    Remedy: write `hard + (soft - soft.detach())`, or `(hard - soft.detach()) + soft`, with a hard mask of one at
    `topk(score, K).indices`.
    """
    decision = probe.select().decision
    owed = (decision.detach() > 0.5).to(decision.dtype)
    expect_equal(probe, "decision", "bn", decision, owed, because=_why_not_hard(decision, owed))
    ones = owed.sum(-1, dtype=torch.float64)
    if not (ones == probe.case.keep).all():
        row = int((ones != probe.case.keep).nonzero()[0])
        raise Violation(
            f"decision[b={row}] keeps {int(ones[row])} of {probe.case.num_tokens} tokens, but should keep K = "
            f"{probe.case.keep}{_why_too_many(probe, owed[row], row)}",
            check=decision[row].sum(dtype=torch.float64) == probe.case.keep,
        )


def _why_too_many(probe: Probe, kept: Tensor, row: int) -> str:
    score = probe.score.detach()[row]
    threshold = score.topk(probe.case.keep).values[-1]
    at_threshold = torch.equal(kept > 0.5, score >= threshold)
    return ": all that tie with the K-th score are kept, as by `score >= threshold`" if at_threshold else ""


def _why_not_hard(decision: Tensor, owed: Tensor) -> str:
    if decision.isnan().any():
        return "D is exactly 0 or 1; NaN comes from infinite noise, or from an exponential that overflows"
    if (decision - owed).abs().amax() <= 8 * torch.finfo(decision.dtype).eps:
        return "rounding, as that of `hard + soft - soft.detach()` without its parentheses"
    return "D is exactly 0 or 1 forward; the soft mask belongs into the backward pass only"


@law(needs="selector", depends="decision.forward_is_hard", domain=NOISY)
def ignores_noise_forward(probe: Probe) -> None:
    """decision, keep_indices and selected_tokens do not depend on the noise: another seed, the same forward pass.

    Why: the noise explores in the gradient. If it chooses in the forward pass too, the tokens that the
    next layers see change from step to step while the score stays the same, and they never settle.
    Breaks when: topk runs on `score + noise` or on the soft mask that contains it, or the kept tokens
    are put into the order of the noisy score.
    Remedy: `keep_indices = torch.topk(score, K, dim=-1).indices`, before any noise is added.
    """
    first = probe.select(seed=0)
    for seed in (1, 2):
        again = probe.select(seed=seed)
        for name, axes in (("decision", "bn"), ("keep_indices", "bk"), ("selected_tokens", "bkc")):
            owed, seen = getattr(first, name), getattr(again, name)
            if owed is not None and seen is not None:
                why = f"nothing but torch's seed changed (0, then {seed}), so noise takes part in the forward pass"
                expect_equal(probe, name, axes, seen, owed, because=why)


@law(needs="selector", depends="decision.ignores_noise_forward")
def keeps_top_k(probe: Probe) -> None:
    """hard_mask = 1 at topk(score, K): no dropped token scores higher than a kept one.

    Why: the forward pass chooses by the noiseless score; noise explores only in the gradient. Choosing
    by the noisy score makes the tokens that the next layer sees random, in evaluation too if noise stays on.
    Breaks when: topk runs on `score + noise` or on the soft mask that contains it, `largest=False` or an
    ascending sort keeps the lowest, indices of one sample are used for another, or the score is rounded to half
    precision on its way to topk.
    Remedy: `keep_indices = torch.topk(score, K, dim=-1).indices`, before any noise is added, in the score's dtype.
    """
    expect_highest(probe, probe.select().decision, probe.score)
    if probe.case.dtype in ("float32", "float64") and probe.case.scores in ("normal", "distinct"):
        # Near one, and as close to each other as half precision's steps: trained scores crowd like that.
        close = 1 + probe.score.detach() / (512 * probe.score.detach().abs().amax())
        close = probe.given("close_scores", close, requires_grad=True)
        expect_highest(probe, probe.select(score=close).decision, close)


def expect_highest(probe: Probe, decision: Tensor, score: Tensor) -> None:
    """No dropped token scores higher than a kept one, by more than a rescaling may blur."""
    # An implementation may rescale the score first; that may tie neighbours within the dtype's error.
    slack = 4 * torch.finfo(score.dtype).eps * score.detach().double().abs().amax(-1)
    kept = decision.detach() > 0.5
    score = score.detach().double()
    lowest_kept = score.masked_fill(~kept, float("inf")).amin(-1)
    highest_dropped = score.masked_fill(kept, -float("inf")).amax(-1)
    wrong = highest_dropped > lowest_kept + slack
    if wrong.any():
        b = int(wrong.nonzero()[0])
        low = int(score[b].masked_fill(~kept[b], float("inf")).argmin())
        high = int(score[b].masked_fill(kept[b], -float("inf")).argmax())
        lower, higher = apart(float(score[b, low]), float(score[b, high]))
        raise Violation(
            f"decision[b={b}] keeps token {low} with score {lower} and drops token {high} with "
            f"score {higher}, but should keep the tokens with the K = {probe.case.keep} highest",
            check=~((decision[b, low] > 0.5) & (decision[b, high] < 0.5)),
        )
