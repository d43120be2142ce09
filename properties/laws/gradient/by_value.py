"""Every gradient by its value, against differences of the forward pass: D, the noise and the ranking do not move.

A part of `gradient`.
"""

from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.kit import differences
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.signals.model import parameters

SMALL = Domain(
    fixed=(
        Case(3, 12, 5, 16, 3, dtype="float64", scores="distinct"),
        Case(2, 9, 4, 8, 2, tau=0.5, dtype="float64", scores="distinct", training=False, tokens="outliers", seed=1),
        Case(2, 5, 1, 8, 2, dtype="float64", scores="distinct", training=False, seed=2),
        Case(2, 6, 6, 8, 7, dtype="float64", scores="distinct", seed=3),
        Case(2, 7, 4, 8, 3, dtype="float64", scores="distinct", tokens="zeros", seed=4),
    )
)
# Of the gradient's length; what is missing or scaled is off by 1e-2 and more.
RIGHT = 1e-3
NOTHING = 1e-5  # of the largest token: an epsilon of 1e-6 in a softmax leaves less


@law(needs="aggregator|pipeline|branches", depends="gradient.is_finite", domain=SMALL)
def is_the_derivative(probe: Probe) -> None:
    """d(pooled tokens)/d(tokens, each parameter) = (f(x + h) - f(x - h)) / 2h: by value, with the scores held.

    Why: a gradient that is there is not yet right. Tokens that are detached on the way to the logits still receive one
    as values; a scale that is read through `.data` is a parameter, and stays what it was.
    Breaks when: `detach`, `.data`, `no_grad` or `.item()` stands on one of several roads, a hook or an
    autograd.Function rescales or rounds the gradient, a sum is taken for a mean backward, or a chunk runs without
    gradients.
    Remedy: let autograd differentiate what the forward pass computes; gradcheck every hand-written backward.
    """
    case = probe.case
    for method in ("aggregator", "pipeline", "branches"):
        if method not in probe.methods:
            continue
        built = probe.build(method)
        tokens = probe.tracked_tokens()
        if method == "aggregator":
            kept = probe.given("kept", tokens.detach()[:, : case.keep], requires_grad=True)
            leaves, arguments = {"tokens": kept}, [kept, probe.given("ones", torch.ones_like(kept[:, :, 0]))]
        else:
            score = probe.given("held_score", probe.score)
            leaves, arguments = {"tokens": tokens}, [tokens, score]
            if method == "branches":
                arguments.append(probe.given("other_score", probe.score.flip(-1)))
        expect_derivatives(probe, method, built, arguments, {}, leaves | named_parameters(probe, built))


@law(
    level="SHOULD",
    needs="aggregator",
    depends="gradient.is_the_derivative",
    domain=Domain(fixed=(Case(2, 6, 4, 8, 3, dtype="float64", scores="distinct"),)),
)
def second_derivative_is_right(probe: Probe) -> None:
    """d2(pooled tokens)/d(tokens)2 is what differences of the gradient give; or to ask for it raises.

    Why: a gradient penalty, a step of meta-learning and a Hessian-vector product differentiate a gradient. Where the
    backward pass is written by hand with tensors that remember nothing, they get a number, and a part is missing.
    Breaks when: a backward pass of one's own detaches what it saved, or works under `no_grad` or on `.data`.
    Remedy: compute in `backward` with what `ctx.saved_tensors` returns; or mark it with `once_differentiable`, which
    refuses instead of being wrong.
    """
    built = probe.build("aggregator")
    kept = probe.given("kept", probe.tokens.detach()[:, : probe.case.keep], requires_grad=True)
    arguments = [kept, probe.given("ones", torch.ones_like(kept[:, :, 0]))]
    expect_derivatives(
        probe, "aggregator's gradient", built, arguments, {}, {"tokens": kept}, differences.second_derivatives
    )


def named_parameters(probe: Probe, built: Any) -> dict[str, Tensor]:
    """The trainable parameters of what was built, by what a report calls them."""
    return {f"parameter {name!r}": parameter for name, parameter in parameters(probe, built).items()}


def expect_derivatives(
    probe: Probe,
    what: str,
    built: Any,
    arguments: list[Any],
    named: dict[str, Any],
    leaves: dict[str, Tensor],
    way: Any = differences.call_derivatives,
) -> None:
    """Autograd gives along a direction what a difference gives, for each leaf."""
    probe.script.carry(differences.tensors_of, differences.along, differences.difference, differences.derivatives)
    doing = f"{what}, one difference after another"
    found = probe.through(way, built, arguments, named, leaves, probe.case.seed, name="found", doing=doing)
    least = NOTHING * probe.tokens.detach().abs().amax().clamp(min=1.0)
    for name, reading in found.items():
        slope, difference, size = reading.tolist()
        if abs(slope - difference) <= RIGHT * size + float(least):
            continue
        if difference == 0 and name.startswith("parameter"):
            continue  # it acts through the soft mask alone, as a learned temperature does, which no output shows
        why = "no gradient gets there" if slope == 0 else "a part of it is missing, or scaled"
        raise Violation(
            f"gradient of the {what} to {name}, along a random direction, = {slope:.6g}, but should be "
            f"{difference:.6g}, "
            f"as the outputs change when {name} is moved a little: {why}",
            check=(reading[0] - reading[1]).abs() <= RIGHT * reading[2] + least,
        )
