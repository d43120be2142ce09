"""D's backward, for every kind of scores, and what is left of it in half precision."""

import torch
from torch import Tensor

from sdtps_ref.properties.kit import jacobians, values
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.coverage import covering_cases
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.expect import expect_close
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe

HALVES = (
    Case(3, 12, 4, 8, 2, dtype="bfloat16", scores="distinct"),
    Case(2, 16, 6, 8, 2, dtype="float16", scores="distinct", seed=1),
    Case(3, 12, 5, 8, 2, dtype="bfloat16", scores="distinct", training=False, seed=2),
)
SMOOTH = covering_cases(
    dtype=("float64", "float32"), scores=("normal", "distinct", "constant", "close", "far"), dim=(8,), slots=(1,)
)
ROUNDING = {"float64": 1e-6, "float32": 1e-4, "bfloat16": 0.1, "float16": 2e-2}
RATE, STRUCTURE = 1e-3, 1e-3
LEFT = 0.05  # of a sum of absolute values; rounding to eight bits leaves a hundredth


@law(needs="selector", depends="decision.backward_is_softmax", domain=Domain(fixed=SMOOTH))
def backward_is_softmax(probe: Probe) -> None:
    """d(D . c)/d score_n = p_n (c_n - p . c) / tau: at every size, for tau from 0.05 to 20, in float32 and float64.

    Why: a temperature that is annealed passes through all of these, and a gradient that is right for 12 tokens may be
    another one's for 1030.
    Breaks when: tau is clamped or rounded, an epsilon is added to it, the soft mask is cut off or flattened where it
    is small, or a softmax runs over a part of the tokens.
    Remedy: `soft = softmax((score + noise) / tau, dim=-1)` over all tokens, with the temperature that was given.
    """
    case = probe.case
    decision = probe.select().decision
    cotangent = probe.random(decision)
    seen = probe.gradient(decision, probe.score, cotangent)
    if case.num_tokens < 3:
        return
    rows = probe.define("rows", jacobians.first_rows, decision, probe.score, helpers=(values.gradient,))
    log_p, rate = probe.define("read", jacobians.softmax_of_rows, rows)
    owed = probe.define("owed", jacobians.softmax_product, log_p, rate, cotangent)
    readable = owed.isfinite().all(-1)
    if not readable.any():
        return
    off = (rate * case.tau - 1).abs().masked_fill(~readable, 0)
    if off.amax() > RATE:
        b = int(off.argmax())
        found = 1 / float(rate[b])
        raise Violation(
            f"temperature read off the gradient of decision[b={b}] to score = {found:.4g}, but should be tau = "
            f"{case.tau:g}",
            check=off[b] <= RATE,
        )
    largest = float(owed[readable].abs().amax())
    # Where one token takes nearly all, what is left in float32 is the rounding of p.
    tolerance = STRUCTURE * largest + 1e-5 / case.tau
    owed = torch.where(readable.unsqueeze(-1), owed, seen.double())
    why = "no softmax over all tokens of the sample has this gradient"
    expect_close(probe, "gradient of decision to score", "bn", seen, owed, tolerance=tolerance, because=why)
    if not case.training:
        _expect_noiseless_softmax(probe, decision, seen, cotangent)


@law(needs="selector", depends="decision.backward_is_softmax", domain=Domain(fixed=HALVES))
def half_backward_is_symmetric(probe: Probe) -> None:
    """dD_e/d score_n = dD_n/d score_e for a kept token e and a dropped one n, in bfloat16 and float16 too.

    Why: mixed precision is how it is trained, and the backward pass there is seldom looked at. A softmax's Jacobian is
    symmetric, whatever the noise.
    Breaks when: D is clamped to one, or the minimum with one is taken, in half precision alone: that halves or cuts the
    gradient of the kept entries, and leaves that of the others.
    Remedy: make D in one way in every dtype: `hard + (soft - soft.detach())` needs no clamp.
    """
    decision = probe.select().decision
    hard = decision.detach().round()
    kept = probe.given("kept", probe.random(decision) * hard)
    dropped = probe.given("dropped", probe.random(decision, "other") * (1 - hard))
    by_kept = probe.gradient(decision, probe.score, kept).double() * dropped.double()
    by_dropped = probe.gradient(decision, probe.score, dropped).double() * kept.double()
    one, other = by_kept.sum(-1), by_dropped.sum(-1)
    size = by_kept.abs().sum(-1) + by_dropped.abs().sum(-1)
    off = (one - other).abs() > LEFT * size
    if off.any():
        b = int(off.int().argmax())
        raise Violation(
            f"what dropped scores get from the kept entries of decision[b={b}] comes to {float(one[b]):.3g}, and what "
            f"kept scores get from the dropped ones to {float(other[b]):.3g}, but should to the same",
            check=(one[b] - other[b]).abs() <= LEFT * size[b],
        )


def _expect_noiseless_softmax(probe: Probe, decision: Tensor, seen: Tensor, cotangent: Tensor) -> None:
    """In eval mode p is known, unless there is noise."""
    if not torch.equal(seen, probe.gradient(probe.select(seed=1).decision, probe.score, cotangent)):
        return
    case, score = probe.case, probe.score.detach().double()
    log_p = (score / case.tau).log_softmax(-1)
    rates = torch.full_like(score[:, 0], 1 / case.tau)
    owed = probe.define("owed", jacobians.softmax_product, log_p, rates, cotangent)
    # An exponent is as exact as the score over tau is, in the dtype that the softmax is taken in.
    precision = torch.finfo(torch.float32).eps * (1 + float((score / case.tau).abs().amax()))
    tolerance = (STRUCTURE + 8 * precision) * float(owed.abs().amax()) + 1e-5 / case.tau
    why = "as softmax(score / tau) has it, without noise"
    expect_close(probe, "gradient of decision to score", "bn", seen, owed, tolerance=tolerance, because=why)
