"""What reaches the score: the reason that D exists."""

from collections.abc import Callable
from typing import NoReturn

import torch
from torch import Tensor

from sdtps_ref.properties.kit.digits import apart
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.expect import expect_close, expect_finite
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Inconclusive, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.signals.aggregation_analysis import gradient_owed_to_decision, kept_tokens
from sdtps_ref.properties.signals.pipeline_analysis import STRUCTURE, gain_of, read_pipeline, seen_and_owed

WIDE_ENOUGH = Domain(dtypes=("float32", "float64", "bfloat16"), max_tokens=130)
IN_FLOAT16 = Domain(dtypes=("float16",), scores=("normal", "distinct", "ties"), max_tokens=65, draw_tokens=12)
# Float64 and a mild temperature, because a saturated softmax has gradients that are rightly zero; two samples,
# because a softmax over the batch is constant for one: that is backward_is_softmax's to say.
DISTINCT = Domain(
    dtypes=("float64",), scores=("distinct",), tokens=("normal",), taus=(1.0, 2.0), min_batch=2, max_tokens=130
)
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


@law(needs="selector|pipeline", depends="shape.follows_inputs", domain=WIDE_ENOUGH)
def is_finite(probe: Probe) -> None:
    """d(output)/d(score, tokens) has no NaN and no infinity in float32, float64 and bfloat16, whatever the scores.

    Why: one NaN in one row is in every parameter after one step, and training never recovers.
    Breaks when: log D is taken where D = 0 (its slope is infinite, and times a weight of zero it is NaN),
    a norm or a standard deviation is taken of a row whose scores are all the same (the slope of a square
    root at zero), or exponentials of large scores are taken without subtracting the largest.
    Remedy: choose before and after the function: `torch.where(kept, torch.where(kept, D, 1).log(), -inf)`;
    put the epsilon under the root; use torch's softmax.
    """
    _expect_finite_gradients(probe)


@law(needs="selector|pipeline", level="SHOULD", depends="gradient.is_finite", domain=IN_FLOAT16)
def is_finite_in_float16(probe: Probe) -> None:
    """d(output)/d(score, tokens) has no NaN and no infinity in float16 either.

    Why: float16 ends at 65504, so a gradient that passes through a mask of 1e10 is infinite on its way,
    and infinite times zero is NaN. Loss scaling cannot help: it makes the number larger still.
    Breaks when: the mask is the published one, or an epsilon is smaller than float16 holds (1e-8 is zero).
    Remedy: add `log D` to the logits instead of subtracting `(1 - D) * 1e10`; or train in bfloat16.
    """
    _expect_finite_gradients(probe, "in float16 a mask of 1e10 is infinite; log D has no such constant")


def _expect_finite_gradients(probe: Probe, because: str = "") -> None:
    outputs: dict[str, Tensor] = {}
    tokens = probe.tracked_tokens()
    if "selector" in probe.methods:
        outputs["decision"] = probe.select(tokens).decision
    if "pipeline" in probe.methods:
        outputs["pooled tokens"] = probe.pool(tokens)
    for name, output in outputs.items():
        cotangent = probe.random(output)
        reached = probe.gradient(output, probe.score, cotangent)
        expect_finite(probe, f"gradient of {name} to score", "bn", reached, because)
        if name == "pooled tokens":
            reached = probe.gradient(output, tokens, cotangent)
            expect_finite(probe, f"gradient of {name} to tokens", "bnc", reached, because)


@law(needs="selector|pipeline", depends=("gradient.is_finite", "decision.backward_is_linear"), domain=DISTINCT)
def reaches_score(probe: Probe) -> None:
    """d(output)/d(score) != 0 for every token, kept or dropped; = 0 where K = 1 or all tokens are the same.

    Why: D is the only road by which a gradient reaches the score. Without it the loss still falls, since
    the rest of the model learns, and the selection stays what it was at initialisation.
    Breaks when: there is no straight-through path (a hard mask, a detach, a no_grad), D is computed and
    not passed on to the aggregation, or the soft mask covers the kept tokens only; or D or the score acts elsewhere
    too, as a factor of the tokens or of the weights.
    Remedy: D = hard + (soft - soft.detach()), and `aggregator(selected_tokens, selected_decision)`, where D goes into
    the mask before the softmax and nowhere else.
    """
    if "selector" in probe.methods and probe.case.num_tokens > 1:
        _reaches_through_selector(probe)
    if "pipeline" in probe.methods:
        _reaches_through_pipeline(probe)


def _reaches_through_selector(probe: Probe) -> None:
    selection = probe.select()
    cotangent = probe.random(selection.decision)
    reached = probe.gradient(selection.decision, probe.score, cotangent)
    dropped = selection.decision.detach() < 0.5
    only_kept = torch.equal(reached == 0, dropped)
    why = ": they are the dropped tokens, so the soft mask covers the kept ones only" if only_kept else ""

    def again(seed: int) -> tuple[Tensor, Tensor, Tensor]:
        return probe.select(seed=seed).decision, probe.score, cotangent

    _expect_everywhere(probe, "decision", reached, again, why)


def _reaches_through_pipeline(probe: Probe) -> None:
    case = probe.case
    pooled = probe.pool()
    cotangent = probe.random(pooled)
    reached = probe.gradient(pooled, probe.score, cotangent)
    if case.keep >= 2:
        if "selector" in probe.methods:  # D itself was looked at, and how far it reaches is its soft mask's affair
            _expect_somewhere(probe, "pooled tokens", reached)
        else:
            _expect_everywhere(
                probe, "pooled tokens", reached, lambda seed: (probe.pool(seed=seed), probe.score, cotangent)
            )
        same = probe.given("same_tokens", probe.tokens[:, :1].expand(-1, case.num_tokens, -1).contiguous())
        scale = float(reached.abs().amax())
        reached = probe.gradient(probe.pool(same), probe.score, cotangent)
        why = "all tokens are the same, so no choice among them changes the output, and D acts elsewhere too"
    else:
        scale = _scale_of_two(probe)
        why = "one token is kept (K = 1), and its weight is one whatever D is, so D acts elsewhere than in the softmax"
    # Rounding is multiplied by the mask's gain as the gradient is: what counts is one relative to the other.
    tolerance = 1e3 * torch.finfo(reached.dtype).eps * scale
    zeros = torch.zeros_like(reached)
    expect_close(probe, "gradient of pooled tokens to score", "bn", reached, zeros, tolerance=tolerance, because=why)


def _scale_of_two(probe: Probe) -> float:
    """How large the gradient is where two of two tokens are kept: the yardstick for one that should be zero."""
    B, C = probe.case.batch, probe.case.dim
    tokens = probe.given("two_tokens", torch.randn(B, 2, C, dtype=torch.float64).to(probe.tokens))
    score = probe.given("two_scores", torch.tensor([[0.5, -0.5]] * B).to(probe.score), requires_grad=True)
    pooled = probe.pool(tokens, score, num_tokens=2, keep=2)
    return float(probe.gradient(pooled, score, probe.random(pooled)).abs().amax())


def _expect_somewhere(probe: Probe, name: str, reached: Tensor) -> None:
    expect_finite(probe, f"gradient of {name} to score", "bn", reached)
    if not reached.any():
        why = _why_nowhere(probe, name)
        raise Violation(
            f"gradient of {name} to score is zero everywhere, but should reach every token: {why}",
            check=reached.any(),
        )


def _why_nowhere(probe: Probe, name: str) -> str:
    if name != "decision":
        return "the score is never trained (D carries no gradient, or is detached or left out before the aggregation)"
    if probe.case.keep == 1:
        return "the score is never trained (D is hard backward too, or its soft mask covers the one kept token only)"
    return "no straight-through path: the score is never trained"


def _expect_everywhere(
    probe: Probe, name: str, reached: Tensor, again: Callable[[int], tuple[Tensor, Tensor, Tensor]], why: str = ""
) -> None:
    """No entry of the gradient is zero. again: output, source and cotangent under another seed's noise."""
    _expect_somewhere(probe, name, reached)
    zero = reached == 0
    for seed in (1, 2):  # noise may lift one token until p (1 - p) rounds to zero: in 1 of 1e4 rows, but not thrice
        if not zero.any():
            return
        zero &= probe.gradient(*again(seed)) == 0
    if zero.any():
        b, n = zero.nonzero()[0].tolist()
        raise Violation(
            f"gradient of {name} to score[b={b}, n={n}] = 0, but should not be "
            f"({int(zero.sum())} of {zero.numel()} entries are zero){why}",
            check=reached[b, n] != 0,
        )


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
