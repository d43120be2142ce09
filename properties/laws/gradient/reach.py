"""Whether a gradient reaches the score, and is a number."""

from collections.abc import Callable

import torch
from torch import Tensor

from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.expect import expect_close, expect_finite
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe

WIDE_ENOUGH = Domain(dtypes=("float32", "float64", "bfloat16"), max_tokens=130)
IN_FLOAT16 = Domain(dtypes=("float16",), scores=("normal", "distinct", "ties"), max_tokens=65, draw_tokens=12)
# Float64 and a mild temperature, because a saturated softmax has gradients that are rightly zero; two samples,
# because a softmax over the batch is constant for one: that is backward_is_softmax's to say.
DISTINCT = Domain(
    dtypes=("float64",), scores=("distinct",), tokens=("normal",), taus=(1.0, 2.0), min_batch=2, max_tokens=130
)


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
