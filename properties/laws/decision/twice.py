"""D differentiated twice, as gradient penalties and Hessian products do."""

import torch
from torch import Tensor

from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.expect import expect_close
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.values import gradient

SMOOTH = Domain(
    dtypes=("float64",), scores=("distinct",), layouts=("contiguous",), taus=(1.0, 0.5), max_tokens=12,
    draw_tokens=12,
)  # fmt: skip
STEP = 3e-3  # the central difference is off by about its square, and rounding in float32 by 1e-7 over it
SAME = 3e-3  # relative


@law(needs="selector", depends=("decision.backward_is_linear", "gradient.reaches_score"), domain=SMOOTH)
def second_derivative_is_right(probe: Probe) -> None:
    """d2(D . c)/d score2 . w is the change of d(D . c)/d score as the score moves along w, or torch refuses it.

    Why: a gradient penalty, a Hessian product or a meta-learning step differentiates twice, and is not told that a part
    of the second derivative is missing.
    Breaks when: an autograd.Function keeps its own result detached, or as an attribute of `ctx`, and its backward pass
    makes the gradient of that.
    Remedy: `ctx.save_for_backward(p)` of what `forward` returns, or `@once_differentiable`, so that torch says so.
    """
    decision, score = probe.select().decision, probe.score
    cotangent, direction = probe.random(decision), probe.random(score, "direction", 1)
    if float(probe.gradient(decision, score, cotangent).abs().amax()) == 0:
        raise Unsupported("no gradient reaches the score")
    moved = []
    for sign in (1, -1):
        other = probe.given("moved_score", score.detach() + sign * STEP * direction, requires_grad=True)
        moved.append(probe.gradient(probe.select(score=other).decision, other, cotangent))
    owed = (moved[0] - moved[1]) / (2 * STEP)
    try:
        seen = probe.define("second", _second, decision, score, cotangent, direction, helpers=(gradient,))
    except RuntimeError as error:
        raise Unsupported("torch refuses a second derivative of it") from error
    expect_close(
        probe,
        "second derivative of decision to score",
        "bn",
        seen,
        owed,
        tolerance=SAME * float(owed.abs().amax()) + 1e-6,
        because="as the first derivative changes when the score moves",
    )


def _second(output: Tensor, source: Tensor, cotangent: Tensor, direction: Tensor) -> Tensor:
    """The product of d2(output . cotangent)/d source2 and a direction; zero where torch knows of none."""
    first = torch.autograd.grad(output, source, cotangent, create_graph=True)[0]
    if not first.requires_grad:
        return torch.zeros_like(source)
    return gradient(first, source, direction)
