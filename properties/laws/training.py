"""The model as its users call it: everything in it is trained, and by gradients of a bearable size."""

from typing import Any

import torch
from torch import Tensor, nn

from sdtps_ref.properties.kit import digits, values
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.execution_modes import count_trainable
from sdtps_ref.properties.kit.expect import expect_finite
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.signals.model import (
    built_model,
    leaves,
    objective,
    own_inputs,
    parameters,
    run,
    short,
    tensors,
    trainable,
)

# With K = 1, or with nothing dropped and one slot, some gradients are rightly zero; in few channels a ReLU
# may be dead for every token. Sizes are all different, so that a shape tells what a tensor is.
TRAINED = Domain(fixed=(Case(batch=4, num_tokens=9, keep=5, dim=32, slots=3), Case(4, 12, 3, 24, 2, tau=0.5, seed=1)))
BOUNDED = Domain(
    fixed=(Case(4, 8, 4, 16, 3, dtype="float64"), Case(4, 10, 3, 24, 2, dtype="float64", training=False, seed=1))
)
SPREADS = (1e-2, 1e-4, 1e-6, 0.0)
# A row of relevances spreads over less than one, so an epsilon of 1e-6, which float16 still tells from zero,
# lets its slope grow 5e5 times; one of 1e-8, which float16 does not, 1e7 times and more; a floor of 1e-3, 500.
BOUND = 3e6


@law(needs="model", depends="gradient.reaches_score", domain=TRAINED)
def everything_is_trained(probe: Probe) -> None:
    """d(output)/d(parameter) is neither None nor zero, for every trainable parameter and every floating input.

    Why: a part without a gradient stays as it was initialised, while the loss falls because the others
    learn. A score network that nobody trains makes a random selection, for good. Inputs that are one
    number or a mask (only 0 and 1) are left out, and a gradient of zero, though not None, is right for a
    bias that only shifts a softmax.
    Breaks when: the score network is built and never called, its prediction is computed and dropped, the
    selection runs under no_grad or on a detached score, D is not passed on to the aggregation, or a layer
    hides in a list or a closure, where `parameters()` does not find it.
    Remedy: follow the score from the network through D into the aggregator's mask; keep layers as
    attributes, in nn.ModuleList or nn.ModuleDict; delete what is not used.
    """
    module, inputs = built_model(probe)
    owned = own_inputs(probe, inputs)
    outputs = run(probe, module, owned)
    named = parameters(probe, module)
    _expect_registered(probe, module, outputs, named)
    sources = {f"parameter {name!r}": p for name, p in named.items()}
    for place, value in tensors(owned, "model[1]"):
        if value.requires_grad and value.numel() > 1 and not ((value == 0) | (value == 1)).all():
            sources[f"input {short(place)!r}"] = value

    _expect_gradients(probe, outputs, sources)
    # A score or a D among the outputs reaches the score network by itself, which no pooled token does.
    pooled = {where: out for where, out in outputs.items() if not _is_a_row(probe, out)}
    if pooled and len(pooled) < len(outputs):
        _expect_what_chooses_is_trained(probe, module, owned, pooled, named)


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


def _expect_registered(probe: Probe, module: Any, outputs: dict[str, Tensor], registered: dict[str, Tensor]) -> None:
    """Whatever parameter takes part in the output is one that an optimiser is told of."""
    if not isinstance(module, nn.Module):
        return
    known = {id(parameter) for parameter in registered.values()}
    hidden = [
        leaf for leaf in leaves(list(outputs.values())) if isinstance(leaf, nn.Parameter) and id(leaf) not in known
    ]
    if hidden:
        told = probe.define("told", count_trainable, module)
        raise Violation(
            f"{len(hidden)} parameters take part in the output and are not among module.parameters() (the first has "
            f"shape {tuple(hidden[0].shape)}), but should be: no optimiser will train them",
            check=told >= len(registered) + len(hidden),
        )


def _expect_gradients(probe: Probe, outputs: dict[str, Tensor], sources: dict[str, Tensor]) -> None:
    total = objective(probe, outputs)
    gradients = dict(zip(sources, probe.gradients(total, list(sources.values())), strict=True))
    for name, gradient in gradients.items():
        if gradient is not None and (gradient.any() or gradient.ndim < 2):
            continue
        # A bias moves a softmax by nothing: zero is then its gradient. It must have one all the same.
        untrained = [
            other for other, found in gradients.items() if found is None or not (found.any() or found.ndim < 2)
        ]
        what = "no gradient (None)" if gradient is None else "a gradient of zero in every entry"
        why = "no path leads from the output to it" if gradient is None else "nothing of the output depends on it"
        raise Violation(
            f"{name} receives {what} from the model's output, but should receive one: {why} "
            f"(so it is with {len(untrained)} of {len(sources)}: {', '.join(untrained[:6])}"
            f"{', ...' if len(untrained) > 6 else ''})",
            check=_gradient_check(probe, total, sources[name]),
        )


def _expect_what_chooses_is_trained(
    probe: Probe, module: Any, inputs: dict[str, Any], pooled: dict[str, Tensor], named: dict[str, Tensor]
) -> None:
    """A parameter that decides which tokens are pooled gets a gradient from the pooled tokens."""
    total = objective(probe, pooled)
    for name, gradient in zip(named, probe.gradients(total, list(named.values())), strict=True):
        parameter = named[name]
        if gradient is not None and (gradient.any() or gradient.ndim < 2):
            continue
        kept = parameter.detach().clone()
        with probe.unrecorded():
            parameter.data.copy_(values.draw("huge", tuple(kept.shape), 1) / 1e3)
        try:
            after = run(probe, module, inputs)
        finally:
            with probe.unrecorded():
                parameter.data.copy_(kept)
        if any(
            where not in _renamed(after) or not torch.equal(_renamed(after)[where], out)
            for where, out in _renamed(pooled).items()
        ):
            raise Violation(
                f"parameter {name!r} decides which tokens are pooled, yet receives no gradient from the pooled tokens, "
                "but should: only a score or a D among the outputs reaches it, so D is not passed on to the pooling",
                check=_gradient_check(probe, total, parameter),
            )


def _renamed(outputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """By their place within the output, whatever the script calls the output."""
    return {where.partition("[")[2] + where.partition(".")[2]: part.detach() for where, part in outputs.items()}


def _is_a_row(probe: Probe, output: Tensor) -> bool:
    """Whether it holds one number a token, as scores and decisions do."""
    counts = (probe.case.num_tokens, probe.case.keep)
    return output.ndim >= 2 and output[0].numel() in counts and max(output.shape[1:]) in counts


def _gradient_check(probe: Probe, total: Tensor, source: Tensor) -> Tensor:
    """True where the gradient is not zero."""
    return probe.gradient(total, source, probe.given("one", torch.ones_like(total))).any()


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
