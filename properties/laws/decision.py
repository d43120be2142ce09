"""The decision matrix D: hard forward, soft backward."""

import torch
from torch import Tensor

from sdtps_ref.properties.kit import jacobians
from sdtps_ref.properties.kit.digits import apart
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.expect import expect_close, expect_equal, expect_finite
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.signals import plot_data

READABLE = Domain(
    dtypes=("float64",),
    scores=("normal", "distinct"),
    layouts=("contiguous",),
    taus=(0.5, 2.0, 1.0),
    max_tokens=12,
    draw_tokens=12,
)
NOISY = Domain(dtypes=("float32", "float64"), scores=("distinct", "normal"), max_tokens=130)
STRUCTURE = 1e-4  # a softmax is explained to 1e-12 (1e-6 if computed in float32), what is none, to 0.1 or worse
JACOBIAN = "gradient of decision[be] to score[bn]"  # e and n both count tokens
SAME = 1e-3  # relative; a temperature or a scale that is wrong is wrong by much more


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


@law(needs="selector", depends="decision.forward_is_hard", domain=READABLE)
def backward_is_linear(probe: Probe) -> None:
    """d(D . 1000 c)/d score = 1000 d(D . c)/d score: the gradient is handed on, whatever its size, the same each time.

    Why: what clips or rescales the gradient on its way stands between the loss and the score, and hides what it was
    meant to cure (a mask with a gain of 1e10); noise that is drawn anew in the backward pass is not the forward's.
    Breaks when: a hook or an autograd.Function clamps the gradient or divides it by its norm, or a checkpoint does
    not keep the generator's state.
    Remedy: hand the gradient on as it is; cure its size at the mask (`logits + log D`), clip the norm of the
    parameters' gradients after backward; leave `preserve_rng_state=True`.
    """
    decision = probe.select().decision
    cotangent = probe.random(decision)
    first = probe.gradient(decision, probe.score, cotangent)
    # Where one token takes nearly all, what is left of the gradient is rounding, in float32 by some.
    tolerance = STRUCTURE * float(first.abs().amax()) + 1e-6
    again = probe.gradient(decision, probe.score, cotangent)
    why = "as a backward pass through the same D gave before; noise is drawn anew in each"
    expect_close(probe, "second gradient of decision to score", "bn", again, first, tolerance=tolerance, because=why)
    larger = probe.gradient(decision, probe.score, probe.given("larger", 1000 * cotangent))
    expect_close(
        probe,
        "gradient of 1000 * decision to score",
        "bn",
        larger,
        1000 * first,
        tolerance=1000 * tolerance,
        because="1000 times that of decision; it is clipped or rescaled on its way",
    )


@law(needs="selector", depends=("decision.forward_is_hard", "gradient.reaches_score"), domain=READABLE)
def backward_is_softmax(probe: Probe) -> None:
    """dD_e/d score_n = p_e ((e = n) - p_n) / tau, p = softmax((score + noise) / tau) over the tokens of a sample.

    Why: forward, D is a constant; this Jacobian is all that the score is ever trained by. It is read here
    with one vector product an entry, and p, tau and any factor are recovered from it.
    Breaks when: the temperature is forgotten, or multiplied instead of divided; the soft mask is a sigmoid,
    is scaled, covers the kept tokens only, or is a softmax over the batch (dim=0); D is hard - soft + soft.detach().
    Remedy: `soft = softmax((score + noise) / tau, dim=-1)` and `D = hard + (soft - soft.detach())`.
    """
    decision = probe.select().decision
    _expect_no_other_sample(probe, decision)
    seen = probe.jacobian(decision, probe.score)
    probe.evidence["decision"] = plot_data.decision(decision, probe.score, seen, str(probe.case))
    expect_finite(probe, JACOBIAN, "ben", seen)
    # Where one token takes it all the gradient vanishes, and what is left of it is the rounding of p.
    tolerance = STRUCTURE * float(seen.abs().amax()) + 1e-6 / probe.case.tau
    _expect_sums_of_zero(probe, seen, tolerance)
    if probe.case.num_tokens == 1:
        return
    _expect_symmetric(probe, seen, tolerance)
    _expect_upward(probe, seen)
    if probe.case.num_tokens > 2:  # any symmetric 2 x 2 matrix whose rows sum to zero is a softmax's
        helpers = (jacobians.softmax_behind, jacobians.softmax_jacobian)
        owed = probe.define("owed", jacobians.nearest_softmax_jacobian, seen, helpers=helpers)
        why = "no softmax over the tokens has this Jacobian"
        expect_close(probe, JACOBIAN, "ben", seen, owed, tolerance=tolerance, because=why)
        _expect_temperature(probe, seen)


def _expect_no_other_sample(probe: Probe, decision: Tensor) -> None:
    if probe.case.batch == 1:
        return
    cotangent = torch.zeros_like(decision)
    cotangent[0] = probe.random(decision[0])
    reached = probe.gradient(decision, probe.score, probe.given("cotangent", cotangent))
    others = reached[1:]
    if others.any():
        b, n = others.nonzero()[0].tolist()
        raise Violation(
            f"gradient of decision[b=0] to score[b={b + 1}, n={n}] = {others[b, n]:.6g}, but should be 0: the soft "
            "mask mixes samples, as a softmax over the batch (dim=0) does",
            check=~others.any(),
        )


def _expect_sums_of_zero(probe: Probe, seen: Tensor, tolerance: float) -> None:
    sums = seen.sum(-1)
    apart = seen - torch.diag_embed(seen.diagonal(dim1=1, dim2=2))
    alone = probe.case.num_tokens > 1 and not apart.abs().amax() > tolerance
    expect_close(
        probe,
        "gradient of decision[be] to score[b, n], summed over n,",
        "be",
        sums,
        torch.zeros_like(sums),
        tolerance=tolerance * probe.case.num_tokens,
        because="each token's D depends on its own score alone, as with a sigmoid; a softmax makes tokens compete"
        if alone
        else "a softmax does not change when all scores rise by the same amount",
    )


def _expect_symmetric(probe: Probe, seen: Tensor, tolerance: float) -> None:
    mirrored = seen.transpose(1, 2)
    why = "that is the gradient with n and e exchanged, and a softmax's Jacobian is symmetric"
    expect_close(probe, JACOBIAN, "ben", seen, mirrored, tolerance=tolerance, because=why)


def _expect_upward(probe: Probe, seen: Tensor) -> None:
    own = seen.diagonal(dim1=1, dim2=2)
    if (own.sum(-1) < 0).any():
        b = int(own.sum(-1).argmin())
        n = int(own[b].argmin())
        raise Violation(
            f"gradient of decision[b={b}, n={n}] to score[b={b}, n={n}] = {own[b, n]:.6g}, but should be positive: its "
            "sign is flipped, so training lowers the scores that should rise",
            check=own[b, n] > 0,
        )


def _expect_temperature(probe: Probe, seen: Tensor) -> None:
    tau = probe.case.tau
    step = probe.random(probe.score, "step")
    moved = probe.given("moved_score", probe.score + step, requires_grad=True)
    moved_seen = probe.jacobian(probe.select(score=moved).decision, moved)
    helpers = (jacobians.softmax_behind,)
    found, factor = probe.define("reading", jacobians.temperature_behind, seen, moved_seen, step, helpers=helpers)
    right = abs(found / tau - 1) < SAME
    probe.findings["temperature"] = "as given" if right else f"{found:.4g} where {tau} was given"
    if not right:
        raise Violation(
            f"temperature read off the gradient of decision to score = {apart(found, tau, least=4)[0]}, but should be "
            f"tau = {tau}, as in softmax((score + noise) / tau)",
            check=right,
        )
    unscaled = abs(factor - 1) < SAME
    if not unscaled:
        raise Violation(
            f"gradient of decision to score is {apart(factor, 1.0, least=4)[0]} times that of "
            "softmax((score + noise) / tau), but should be once that, in every entry: the soft mask is scaled on its "
            "way into D",
            check=unscaled,
        )
