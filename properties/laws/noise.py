"""The noise of the soft mask, recovered from D's Jacobian: the generator is never touched."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from sdtps_ref.properties.kit import extremes, jacobians, values
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.expect import expect_equal, expect_finite
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.signals import noise_tests, plot_data

# tau is not 1, so that noise added after the division by tau is seen to be scaled.
FEW = Case(batch=8, num_tokens=12, keep=5, dim=8, slots=2, tau=2.0)
SOME = Case(batch=400, num_tokens=32, keep=8, dim=8, slots=1, tau=0.5, dtype="float64")
MANY = Case(batch=1000, num_tokens=256, keep=64, dim=8, slots=1, tau=3.0)
# Equal scores and a high temperature: whatever the noise, no soft mask is near the smallest half. Not more samples than
# code that goes through them one by one answers in a few seconds.
HALF = Case(batch=2500, num_tokens=40, keep=4, dim=8, slots=1, tau=5.0, scores="constant", dtype="bfloat16")
IN_TRAINING = Domain(fixed=(replace(FEW, dtype="float64"), FEW))
IN_EVAL = Domain(fixed=(replace(FEW, dtype="float64", training=False), replace(FEW, training=False)))

NOTHING = 1e-3  # noise below this is none; a right one has a standard deviation of 1.28
AGAIN = (0, 100)  # seeds; only what is found under both is an accusation


@law(needs="selector", level="SHOULD", depends="decision.backward_is_softmax", domain=IN_TRAINING)
def is_present_in_training(probe: Probe) -> None:
    """In train mode, noise = tau log(soft_mask) - score, less its mean in each row, is not zero: there was some.

    Why: without noise the tokens ranked first at the start get the gradient and stay first; noise is what
    lets the others be tried.
    Breaks when: the noise is never added, is added to a copy, only in eval mode (the flag is inverted), or
    is one number a row, which softmax forgets.
    Remedy: `soft = softmax((score + noise) / tau, dim=-1)` in train mode, with noise in the score's own shape.
    """
    noise = _noise(probe)
    if _is_nothing(noise):
        probe.findings["noise"] = "none"
        raise Violation(
            f"noise in train mode is within {float(noise.abs().amax()):.2g} of a constant in each row, but should be "
            "Gumbel noise: none is added to the soft mask's score, or one number a row, which softmax forgets",
            check=noise.abs().amax() > NOTHING,
        )


@law(needs="selector", level="SHOULD", depends="decision.backward_is_softmax", domain=IN_EVAL)
def is_absent_in_eval(probe: Probe) -> None:
    """In eval mode, noise = tau log(soft_mask) - score, less its mean in each row, is zero: none is added.

    Why: evaluation should say the same twice. The forward pass does not see the noise, but everything that
    differentiates in eval mode does: attribution maps, fine-tuning with frozen layers, gradient checks.
    Breaks when: noise is added without a look at `self.training`, or `F.gumbel_softmax`, which always adds it, is used.
    Remedy: `noise = gumbel(score) if self.training else 0`.
    """
    built = probe.build("selector")
    if not values.modules_in(built):
        raise Unsupported("the selector is no module, so it has no eval mode")
    noise = _noise(probe)
    if not _is_nothing(noise):
        b, n = (int(i) for i in torch.unravel_index(noise.abs().argmax(), noise.shape))
        raise Violation(
            f"noise[b={b}, n={n}] = {noise[b, n]:.4g} in eval mode (less the mean of its row), but should be 0",
            check=noise.abs().amax() <= NOTHING,
        )


@law(needs="selector", depends="noise.is_present_in_training", domain=Domain(fixed=(SOME,)))
def is_independent(probe: Probe) -> None:
    """noise[b, n] is drawn anew for every sample, every token and every call.

    Why: noise that repeats explores one direction again and again: samples that share it push the same
    tokens in every batch, and noise that was drawn once is a bias on the score, not noise.
    Breaks when: noise of shape (N,) is broadcast over the batch, is drawn in __init__ or cached by shape, is
    repeated to fill the batch, or forward calls `torch.manual_seed`.
    Remedy: draw it in every forward in the score's own shape: `torch.rand(score.shape, ...)`.
    """
    _expect_innocent_once(
        probe, lambda seed: noise_tests.dependence(probe, _noise(probe, seed), _noise(probe, seed + 1))
    )


@law(
    needs="selector",
    depends="noise.is_independent",
    domain=Domain(fixed=(MANY, replace(MANY, dtype="float64", tau=0.5))),
)
def is_gumbel(probe: Probe) -> None:
    """noise = tau log(soft_mask) - score is -log(-log(U)), U uniform on (0, 1), up to a constant a row: Gumbel(0, 1).

    Why: with Gumbel noise the perturbed scores rank tokens with the probabilities of softmax(score), which
    is what the relaxation stands for; another noise trains another model, at another temperature.
    Breaks when: a log or a minus is missing, the noise is normal or uniform, is scaled, is added after the
    division by tau, or U is clamped or shifted by an epsilon that shows (1e-3, where 1e-10 does not).
    Remedy: `-torch.log(-torch.log(U))` with U = rand(score.shape).clamp(tiny, 1 - eps / 2), added before `/ tau`.
    """
    _expect_innocent_once(probe, lambda seed: noise_tests.departure(probe, _noise(probe, seed)))
    probe.findings["noise"] = "Gumbel(0, 1)"


@law(
    needs="selector",
    depends="noise.is_gumbel",
    domain=Domain(fixed=(HALF, replace(HALF, dtype="float16"))),
)
def is_finite(probe: Probe) -> None:
    """-log(-log(U)) is finite for every U that the generator returns: in float16 and bfloat16, on 10^5 draws.

    Why: torch.rand in float16 returns an exact zero in 0.02 % of draws, in bfloat16 in 0.2 %, and rounding
    a float32 draw returns an exact one as often. The noise is then infinite: the token's soft mask is zero,
    or the whole row is NaN, and one NaN ends the training.
    Breaks when: U is drawn in half precision and not clamped, is rounded to it after it was clamped, or is
    clamped by an epsilon that half precision does not have (1e-10 is 0 in float16).
    Remedy: draw and transform in float32, clamp U to [tiny, 1 - eps / 2], then convert the noise.
    """
    decision = probe.select().decision
    expect_finite(probe, "decision", "bn", decision, because="the noise is infinite, and infinity less infinity is NaN")
    expect_equal(probe, "decision", "bn", decision, (decision.detach() > 0.5).to(decision.dtype))
    rows = probe.define("rows", jacobians.first_rows, decision, probe.score, helpers=(values.gradient,))
    expect_finite(probe, "gradient of decision[be] to score[bn]", "ben", rows, because="the noise is infinite")


@law(needs="selector", depends="noise.is_gumbel", domain=IN_TRAINING)
def is_finite_at_its_ends(probe: Probe) -> None:
    """-log(-log(U)) gives no NaN where U is the least and the largest number that the generator returns.

    Why: the largest is drawn once in 17 million float32 numbers, which a long training draws in an hour. One NaN in one
    row of D is in every parameter after that step, and nobody finds out where it came from.
    Breaks when: an epsilon is added, `log(U + eps)`: the largest U becomes 1 or more, and the logarithm of its
    logarithm is infinite, or NaN; or U is drawn in a wider dtype and rounded to 1.
    Remedy: clamp U to [tiny, 1 - eps / 2] in the dtype that its logarithm is taken in.
    """
    probe.script.carry(extremes.AtTheEnds, extremes.range_of, extremes.put_ends)
    built, seed = probe.build("selector"), probe.case.seed
    doing = "selector, U at its ends"
    result = probe.through(
        extremes.selected_at_the_ends, built, probe.tokens, probe.score, seed, name="selection", doing=doing
    )
    decision = probe.selection(result).decision
    because = "U is the largest number that the generator returns, in one token of each row"
    expect_finite(probe, "decision", "bn", decision, because=because)
    reached = probe.gradient(decision, probe.score, probe.random(decision))
    expect_finite(probe, "gradient of decision to score", "bn", reached, because=because)


@law(
    needs="selector",
    level="SHOULD",
    depends="noise.is_finite",
    domain=Domain(fixed=(HALF, replace(HALF, dtype="float16"))),
)
def is_above_minus_infinity(probe: Probe) -> None:
    """-log(-log(U)) is more than minus infinity for every U: in float16 and bfloat16, on 10^5 draws.

    Why: where U is zero the noise is minus infinity, and that token's soft mask and gradient are zero for one step. It
    happens in 0.02 % of float16 draws and 0.2 % of bfloat16 draws, and does nothing else.
    Breaks when: U is drawn in half precision and not clamped away from zero.
    Remedy: draw and transform in float32, clamp U to [tiny, 1 - eps / 2], then convert the noise.
    """
    decision = probe.select().decision
    rows = probe.define("rows", jacobians.first_rows, decision, probe.score, helpers=(values.gradient,))
    beside = torch.cat([rows[:, 1, :1], rows[:, 0, 1:]], dim=1)  # -p_e p_n / tau, e another token than n
    if not beside.all():
        zeros = int((beside == 0).sum())
        b, n = (beside == 0).nonzero()[0].tolist()
        e = int(n == 0)
        raise Violation(
            f"gradient of decision[b={b}, n={e}] to score[b={b}, n={n}] = 0, but should not be ({zeros} of "
            f"{beside.numel()} entries): the noise is minus infinity there, as -log(-log(U)) is for U = 0",
            check=rows[b, e, n] != 0,
        )


def _expect_innocent_once(probe: Probe, against: Callable[[int], noise_tests.Evidence | None]) -> None:
    """Accuse only where every seed of AGAIN gives evidence, as chance does not."""
    for seed in AGAIN:
        found = against(seed)
        if found is None:
            return
        probe.findings["noise"] = found.looks
    assert found is not None  # there is a seed to try
    raise found.violation


def _noise(probe: Probe, seed: int = 0) -> Tensor:
    noise = probe.noise(probe.select(seed=seed).decision)
    if probe.case.training:
        probe.evidence["noise"] = plot_data.noise(noise)
    return noise


def _is_nothing(noise: Tensor) -> bool:
    return float(noise.abs().amax()) <= NOTHING
