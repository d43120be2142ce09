"""How large the gradient to the score is, beside what the closed form owes."""

from typing import NoReturn

import torch
from torch import Tensor

from sdtps_ref.properties.kit.digits import apart
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.expect import expect_close
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Inconclusive, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.signals.aggregation_analysis import gradient_owed_to_decision, kept_tokens
from sdtps_ref.properties.signals.pipeline_analysis import STRUCTURE, gain_of, read_pipeline, seen_and_owed

READABLE = Domain(
    dtypes=("float64",),
    scores=("distinct",),
    tokens=("normal",),
    taus=(1.0, 0.5, 2.0),
    min_keep=3,
    max_tokens=128,
    draw_tokens=12,
    wide=True,
)
WELL_CONDITIONED = (1e-3, 1e3)


@law(
    needs="pipeline",
    depends=(
        "gradient.reaches_score",
        "decision.backward_is_softmax",
        "decision.keeps_top_k",
        "selection.gathers_kept_tokens",
        "symmetry.batch_independent",
    ),
    domain=READABLE,
)
def matches_closed_form(probe: Probe) -> None:
    """d out/d score_n = (gain / tau) p_n (H_n - H p), p the soft mask, H_n = W_n (token_n - out) or 0 where dropped.

    Why: a gradient can be nonzero and wrong: scaled by a token, in another order, from a soft mask over
    the wrong axis. The optimiser follows it all the same.
    Breaks when: D is gathered in another order than the tokens, D multiplies the tokens instead of
    masking the softmax, the soft mask is a sigmoid or covers the kept tokens only, or D is detached in
    one of the two modes.
    Remedy: pass D at keep_indices to the mask before the softmax, and nothing else of it anywhere.
    """
    pooled, readings = read_pipeline(probe)
    seen, owed = seen_and_owed(probe, pooled, readings)
    for b, reading in enumerate(readings):
        if reading.unexplained < STRUCTURE and reading.rate < 0:
            n = int(owed[b].abs().argmax())
            raise Violation(
                f"gradient of pooled tokens to score[b={b}, n={n}] = {seen[b, n]:.6g} points the wrong way: it is "
                f"{reading.rate * probe.case.tau:.4g} times the closed form, but should be a positive multiple",
                check=reading.rate > 0,
            )
    saturated = torch.tensor([reading.saturated for reading in readings], device=seen.device)
    if saturated.all():
        raise Inconclusive
    tolerance = STRUCTURE * float(torch.maximum(seen.abs(), owed.abs()).amax())
    expect_close(
        probe,
        "gradient of pooled tokens to score",
        "bn",
        seen,
        torch.where(saturated.unsqueeze(1), seen, owed) if saturated.any() else owed,
        tolerance=tolerance,
        because="no softmax over the scores explains it, whatever its noise, temperature or factor; D is in another "
        "order than the tokens, or acts elsewhere than before the aggregation's softmax",
    )


@law(
    needs="pipeline|aggregator",
    level="SHOULD",
    depends=("gradient.matches_closed_form", "aggregation.decision_gradient_is_one_gain"),
    domain=READABLE,
)
def well_conditioned(probe: Probe) -> None:
    """gain = d(mask)/dD at D = 1 is about 1: the score's gradient is of the size of every other gradient.

    Why: through `(1 - D) * 1e10` the score receives 1e10 times its gradient. The direction is right, the
    size is not: a clipped norm drowns every other parameter, float16 overflows, SGD ends at NaN. On a toy
    task (`sdtps bench trainability`) Adam ends at a loss of 0.68 with the 1e10 mask and at 0.001 with log D.
    Breaks when: the mask is the published one.
    Remedy: replace `logits - (1 - D) * 1e10` by `logits + log D` (zero weight where D = 0): the forward
    pass is the same to the bit.
    """
    if "pipeline" in probe.methods:
        _expect_gain_of_pipeline(probe)
    else:
        _expect_gain_of_aggregator(probe)


def _expect_gain_of_pipeline(probe: Probe) -> None:
    pooled, readings = read_pipeline(probe)
    gain = gain_of(probe, readings)
    probe.findings["gain"] = float(gain)
    if not WELL_CONDITIONED[0] <= gain <= WELL_CONDITIONED[1]:
        seen, owed = seen_and_owed(probe, pooled, readings)
        _refuse_gain("score[b={}, n={}]", seen, owed / gain, gain)


def _expect_gain_of_aggregator(probe: Probe) -> None:
    """Without a pipeline, how far D alone moves the pooled tokens: the mask's slope is there already."""
    kept = kept_tokens(probe, probe.case.keep)
    ones = probe.given("decision", torch.ones_like(kept[:, :, 0]), requires_grad=True)
    pooled = probe.aggregate(kept, ones)
    cotangent = probe.random(pooled)
    seen = probe.gradient(pooled, ones, cotangent)
    plain = gradient_owed_to_decision(probe, kept, pooled, cotangent).sum(1).to(seen)  # B K
    gain = (seen * plain).sum() / (plain * plain).sum().clamp_min(1e-300)
    if not WELL_CONDITIONED[0] <= gain <= WELL_CONDITIONED[1]:
        _refuse_gain("D[b={}, k={}]", seen, plain, gain)


def _refuse_gain(source: str, seen: Tensor, plain: Tensor, gain: Tensor) -> NoReturn:
    """plain: what a gain of one gives, in the shape of `seen`."""
    low, high = WELL_CONDITIONED
    b, n = (int(i) for i in torch.unravel_index(plain.abs().argmax(), plain.shape))
    saw, due = apart(float(seen[b, n]), float(plain[b, n]), least=4)
    raise Violation(
        f"gradient of pooled tokens to {source.format(b, n)} = {saw}, but should be about "
        f"{due}: the mask multiplies it by a gain of {gain:.4g}, where {low:g} to {high:g} is accepted",
        check=(gain >= low) & (gain <= high),
    )
