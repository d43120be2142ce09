"""Gradients where the scores of a row come closer and closer."""

from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.kit import digits, values
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.expect import expect_finite
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.signals.model import (
    built_model,
    objective,
    own_inputs,
    run,
    short,
    tensors,
    trainable,
)

BOUNDED = Domain(
    fixed=(Case(4, 8, 4, 16, 3, dtype="float64"), Case(4, 10, 3, 24, 2, dtype="float64", training=False, seed=1))
)
SPREADS = (1e-2, 1e-4, 1e-6, 0.0)
# A row of relevances spreads over less than one, so an epsilon of 1e-6, which float16 still tells from zero,
# lets its slope grow 5e5 times; one of 1e-8, which float16 does not, 1e7 times and more; a floor of 1e-3, 500.
BOUND = 3e6


@law(needs="model", depends="training.everything_is_trained", domain=BOUNDED)
def gradient_stays_finite(probe: Probe) -> None:
    """d(output)/d(input) is finite where a row's tokens are all equally relevant, or zero.

    Why: on a plain background, or on padding, all tokens are equally relevant. A relevance that is stretched to
    [0, 1] by its own spread is then zero over zero, and one such row makes every parameter NaN.
    Breaks when: min-max normalisation divides by a bare (max - min), a z-score by a bare standard deviation, or a norm
    is written out and divided by where it is zero.
    Remedy: divide by a spread that counts as 1e-3 at least: `(x - min) / (max - min).clamp_min(1e-3)`; use
    `cosine_similarity(..., eps=1e-3)` for cosines.
    """
    level = _LevelRows(probe)
    for apart in level.ways():
        for spread in SPREADS:
            level.sizes(spread, apart)
    # A zero has no direction, so a cosine may be steep there (torch's own normalize is): finite is enough.
    zeros = {
        place: probe.given("zero_tokens", torch.zeros(shape).to(probe.tokens), requires_grad=True)
        for place, shape in level.of_tokens.items()
    }
    inputs = own_inputs(probe, level.inputs, lambda place, value: zeros.get(place))
    _sizes(probe, level.module, inputs, "the tokens are zero")


@law(needs="model", level="SHOULD", depends="training.gradient_stays_finite", domain=BOUNDED)
def gradient_stays_bounded(probe: Probe) -> None:
    """|d(output)/d(input)| stays within 3e6 times its size at spread 1, as the spread of a row goes to 0.

    Why: a relevance that is stretched to [0, 1] by its own spread has a slope of one over that spread: a row whose
    tokens are almost alike outweighs all others of the batch.
    Breaks when: min-max normalisation divides by (max - min) with an epsilon of 1e-8, which is zero in float16.
    Remedy: divide by a spread that counts as 1e-3 at least: `(x - min) / (max - min).clamp_min(1e-3)`.
    """
    level = _LevelRows(probe)
    for apart in level.ways():
        usual = level.sizes(1.0, apart)
        for spread in SPREADS:
            for place, (size, gradient) in level.sizes(spread, apart).items():
                limit = BOUND * usual[place][0]
                if size > limit:
                    saw, most = digits.apart(size, limit, least=3)
                    raise Violation(
                        f"gradient of the output to input {short(place)!r} has norm {saw} where "
                        f"{level.alike(spread, apart)}, but should stay under {most}, which is {BOUND:g} times its "
                        "norm where they differ by about 1",
                        check=gradient.norm() <= limit,
                    )


class _LevelRows:
    """The model on tokens that differ little, or, `apart`, whose relevances do."""

    def __init__(self, probe: Probe):
        self.probe = probe
        self.module, self.inputs = built_model(probe)
        case = probe.case
        floating = {place: part for place, part in tensors(self.inputs, "model[1]") if part.is_floating_point()}
        self.of_tokens = {
            place: tuple(part.shape)
            for place, part in floating.items()
            if part.ndim == 3 and part.shape[1:] == (case.num_tokens, case.dim)
        }
        if not self.of_tokens:
            raise Unsupported("no input of the model has the axes B N C of its tokens")
        self.features = {
            place: part
            for place, part in floating.items()
            if place not in self.of_tokens and part.ndim in (2, 3) and part.shape[-1] == case.dim
        }

    def ways(self) -> tuple[bool, ...]:
        """Both, or tokens alone where no direction is left in which they may differ and be equally relevant."""
        avoided = sum(part.shape[1] if part.ndim == 3 else 1 for part in self.features.values())
        return (False,) if avoided + 1 >= self.probe.case.dim else (True, False)

    def sizes(self, spread: float, apart: bool) -> dict[str, tuple[float, Tensor]]:
        """Of the gradients to the inputs, which are finite."""
        tokens = _level_tokens(self.probe, self.inputs, self.of_tokens, self.features, spread, apart)
        return _sizes(self.probe, self.module, tokens, "" if spread == 1 else self.alike(spread, apart))

    def alike(self, spread: float, apart: bool) -> str:
        """In words."""
        what = f"a sample's {'relevances to text and image' if apart else 'tokens'}"
        return what + (" are all the same" if spread == 0 else f" differ by about {spread:g}")


def _level_tokens(
    probe: Probe,
    inputs: dict[str, Any],
    shapes: dict[str, tuple[int, ...]],
    features: dict[str, Tensor],
    spread: float,
    apart: bool,
) -> dict[str, Any]:
    """The inputs, with tokens that are alike but for `spread`."""
    case = probe.case

    def change(place: str, value: Tensor) -> Tensor | None:
        if place not in shapes:
            return None
        drawn = values.level(shapes[place], list(features.values()), spread, apart, case.seed)
        made = drawn.to(case.device, case.torch_dtype).requires_grad_()
        recipe = f"level({shapes[place]}, [{', '.join(features)}], {spread}, {apart}, {case.seed})"
        to = f".to({case.device!r}, {case.torch_dtype})"
        probe.script.define_value(short(place), made, recipe + to, needs=(values.level,))
        return made

    return own_inputs(probe, inputs, change)


def _sizes(probe: Probe, module: Any, inputs: dict[str, Any], where: str = "") -> dict[str, tuple[float, Tensor]]:
    """The length of the output's gradient to each floating input, and the gradient. where: what is special here."""
    outputs = run(probe, module, inputs)
    total = objective(probe, outputs)
    one = probe.given("one", torch.ones_like(total))
    found = {}
    for place, value in trainable(inputs, "model[1]").items():
        gradient = probe.gradient(total, value, one)
        axes = _axes(probe, gradient)
        expect_finite(probe, f"gradient of the output to input {short(place)!r}[{axes}]", axes, gradient, where)
        found[place] = (float(gradient.norm()), gradient)
    return found


def _axes(probe: Probe, gradient: Tensor) -> str:
    """A letter for each axis, by its size: those of these cases are all different."""
    letters = {probe.case.batch: "b", probe.case.num_tokens: "n", probe.case.dim: "c"}
    known = [letters.get(size, "ijklm"[i % 5]) for i, size in enumerate(gradient.shape)]
    return "".join(known) if len(set(known)) == len(known) else "ijklm"[: gradient.ndim]
