"""D in the backward pass: the Jacobian of the soft mask."""

import torch
from torch import Tensor

from sdtps_ref.properties.kit import jacobians
from sdtps_ref.properties.kit.digits import apart
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.expect import expect_close, expect_finite
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
STRUCTURE = 1e-4  # a softmax is explained to 1e-12 (1e-6 if computed in float32), what is none, to 0.1 or worse
JACOBIAN = "gradient of decision[be] to score[bn]"  # e and n both count tokens
SAME = 1e-3  # relative; a temperature or a scale that is wrong is wrong by much more


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
