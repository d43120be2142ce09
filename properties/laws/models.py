"""The model, and several modalities, from outside: no sample sees another, and every gradient is right by value."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.kit import differences
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.execution_modes import memory
from sdtps_ref.properties.kit.expect import expect_close
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.gradient.by_value import RIGHT, expect_derivatives, named_parameters
from sdtps_ref.properties.laws.multimodal.inputs import NAMES, inputs_by_name
from sdtps_ref.properties.signals.model import own_inputs, tensors, trainable

DOUBLE = Domain(
    fixed=(
        Case(4, 9, 5, 24, 3, dtype="float64"),
        Case(4, 12, 5, 16, 2, tau=0.5, dtype="float64", training=False, seed=1),
    )
)
# At this temperature nothing passes through D, even times a mask of 1e10: what is left is the derivative of the
# forward pass.
COLD = 1e20
SAME = {"float64": 1e-6, "float32": 1e-4}


@law(needs="model", depends="training.everything_is_trained", domain=DOUBLE)
def samples_do_not_meet(probe: Probe) -> None:
    """model(batch)[b] = model(batch[b : b + 1]), and the gradient of sample b to every other sample's inputs is zero.

    Why: a model whose samples see each other depends on the batch size, and evaluates each picture by its neighbours;
    a loss over the batch hides it.
    Breaks when: a feature is averaged over the batch, a relevance is stretched by the batch's least and greatest, a
    reduction has no `dim`, or BatchNorm stands in the score network.
    Remedy: keep dim 0 out of every reduction.
    """
    module, inputs = _model(probe)
    given = own_inputs(probe, inputs)
    batch = _batch_of(given)
    whole = _outputs(probe, module, given, batch)
    b = batch - 1
    places = trainable(given, "model[1]")
    for name, output in whole.items():
        one = torch.zeros_like(output)
        one[b] = probe.random(output)[b]
        cotangent = probe.given("cotangent_of_one_sample", one)
        for place, value in places.items():
            if output.requires_grad and value.shape[0] == batch:
                reached = probe.gradient(output, value, cotangent)
                others = reached[:b]
                probe.script.name(others, f"{probe.script.shown(reached)}[:{b}]")
                axes = "bijkl"[: others.ndim]
                title = f"gradient of {name} of sample b={b} to {place}"
                why = "one sample's output depends on another sample of the batch"
                expect_close(probe, title, axes, others, torch.zeros_like(others), tolerance=0.0, because=why)
    if probe.case.training:  # a dropout draws other numbers for a batch of another size
        return
    alone = _outputs(probe, module, own_inputs(probe, _rows(inputs, batch, slice(b, None))), 1)
    for name, output in whole.items():
        row = output[b:]
        probe.script.name(row, f"{probe.script.shown(output)}[{b}:]")
        tolerance = SAME[probe.case.dtype] * float(output.detach().abs().amax())
        why = "as the model gives for that sample alone"
        axes = "bijkl"[: row.ndim]
        title = f"{name} of sample b={b}"
        expect_close(probe, title, axes, row, alone[name], tolerance=tolerance, because=why)


def _model(probe: Probe, **changes: Any) -> tuple[Any, dict[str, Any]]:
    built = probe.build("model", **changes)
    if not (isinstance(built, tuple) and len(built) == 2 and callable(built[0]) and isinstance(built[1], Mapping)):
        raise Violation(f"model(...) returned {type(built).__name__}, but should return (module, {{argument: tensor}})")
    probe.script.name(built[0], f"{probe.script.shown(built)}[0]")
    return built[0], dict(built[1])


def _batch_of(inputs: dict[str, Any]) -> int:
    """How many samples the inputs hold: the first axis that all of two axes and more share."""
    sizes = {part.shape[0] for _, part in tensors(inputs, "") if part.ndim >= 2}
    if len(sizes) != 1 or sizes == {1}:
        raise Unsupported("the model's inputs do not share a batch axis of two and more")
    return sizes.pop()


def _rows(inputs: Any, batch: int, rows: slice) -> Any:
    if isinstance(inputs, Mapping):
        return {name: _rows(part, batch, rows) for name, part in inputs.items()}
    if isinstance(inputs, (tuple, list)):
        return type(inputs)(_rows(part, batch, rows) for part in inputs)
    return inputs[rows] if isinstance(inputs, Tensor) and inputs.ndim >= 1 and inputs.shape[0] == batch else inputs


def _outputs(probe: Probe, module: Any, inputs: dict[str, Any], batch: int) -> dict[str, Tensor]:
    result = probe.call(module, name="output", named=inputs)
    place = probe.script.last
    found = {}
    for where, part in tensors(result, place):
        if part.is_floating_point() and part.ndim >= 2 and part.shape[0] == batch:
            probe.script.name(part, where)
            found["output" + where.removeprefix(place)] = part
    if not found:
        raise Unsupported("nothing that the model returns has its batch axis")
    return found


@law(needs="model|multimodal", depends="gradient.is_finite", domain=DOUBLE)
def gradient_is_the_derivative(probe: Probe) -> None:
    """At a temperature of 1e20 nothing passes through D, and d(output)/d(each input, each parameter) is what a
    difference of the forward pass gives.

    Why: the model learns by two roads, the values of what was kept and D. On the first, a backbone whose tokens are
    detached before they are pooled still receives a gradient, from the score; nothing looks wrong.
    Breaks when: tokens, features or weights are detached, read through `.data`, or used under no_grad on one of their
    roads; an extra token is made of detached tokens or weights; a part of the batch runs without gradients.
    Remedy: let autograd see the whole forward pass; only the hard mask is a constant.
    """
    for what, built, arguments, named, leaves in _subjects(probe, tau=COLD):
        if what == "model" and not _temperature_acts(probe, named, leaves):
            raise Unsupported("the model's temperature cannot be raised")
        expect_derivatives(probe, what, built, arguments, named, leaves)


@law(needs="model|multimodal", depends="gradient.is_finite", domain=Domain(fixed=DOUBLE.fixed[:1]))
def score_is_differentiated(probe: Probe) -> None:
    """d(score)/d(each input, each parameter) is what a difference gives, the score being what is ranked; and what
    reaches them through D is that, times what reaches the score.

    Why: D hands the gradient to the score, and the score's own network hands it on: where a part of it is cut, the
    score network learns something else than what the loss asks for.
    Breaks when: the least and greatest of a min-max are taken for constants, a feature or a norm is detached, a part
    of the samples is scored under no_grad, or D is made of another score than the one that is ranked.
    Remedy: one score, made by differentiable steps, for the ranking and for the soft mask.
    """
    probe.script.carry(
        differences.Ranked,
        differences.last_of,
        differences.ranked_scores,
        differences.tensors_of,
        differences.along,
        differences.difference,
        differences.derivatives,
    )
    for (what, built, arguments, named, leaves), (_, cold, _, _, _) in zip(
        _subjects(probe), _subjects(probe, tau=COLD), strict=True
    ):
        doing = f"{what}, watched"
        scores = probe.through(
            differences.ranked_scores, built, arguments, named, probe.case.seed, name="scores", doing=doing
        )
        if not scores:
            raise Unsupported("no score that has a gradient was seen to be ranked")
        title = f"score of the {what}"
        expect_derivatives(probe, title, built, arguments, named, leaves, differences.score_derivatives)
        if _same_weights(built, cold):
            _expect_one_road(probe, what, built, cold, arguments, named, leaves)


def _expect_one_road(
    probe: Probe,
    what: str,
    built: Any,
    cold: Any,
    arguments: list[Any],
    named: dict[str, Any],
    leaves: dict[str, Tensor],
) -> None:
    leaves = {name: leaf for name, leaf in leaves.items() if not name.startswith("parameter")}
    way = differences.road_derivatives
    found = probe.through(
        way, built, cold, arguments, named, leaves, probe.case.seed, name="found", doing=f"{what}, watched"
    )
    reached = found.pop("scores")
    if not reached.any():
        return  # D does not begin at what is ranked, as far as can be seen: other laws say whether it does at all
    for name, reading in found.items():
        off, owed, seen = reading.tolist()
        if off > RIGHT * max(owed, seen) + 1e-9:
            raise Violation(
                f"what reaches {name} of the {what} through D has norm {seen:.6g}, but should have {owed:.6g}, "
                "which is "
                "what reaches the score, handed on: D is made of another score than the one that is ranked",
                check=reading[0] <= RIGHT * torch.maximum(reading[1], reading[2]) + 1e-9,
            )


def _subjects(probe: Probe, **changes: Any) -> list[tuple[str, Any, list[Any], dict[str, Any], dict[str, Tensor]]]:
    """What is called, how, and what of it is a leaf: the model, and the modalities."""
    found: list[tuple[str, Any, list[Any], dict[str, Any], dict[str, Tensor]]] = []
    if "model" in probe.methods:
        module, inputs = _model(probe, **changes)
        named = own_inputs(probe, inputs)
        leaves = {
            f"input {place.removeprefix('model[1]')}": part for place, part in trainable(named, "model[1]").items()
        }
        found.append(("model", module, [], named, leaves | named_parameters(probe, module)))
    if "multimodal" in probe.methods:
        tokens, features = inputs_by_name(probe, NAMES)
        built = probe.build("multimodal", modalities=NAMES, **changes)
        leaves = {f"tokens of {name!r}": part for name, part in tokens.items()}
        leaves |= {f"the global feature of {name!r}": part for name, part in features.items()}
        found.append(("modalities", built, [tokens, features], {}, leaves | named_parameters(probe, built)))
    return found


def _same_weights(one: Any, other: Any) -> bool:
    first, second = memory(one), memory(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def _temperature_acts(probe: Probe, named: dict[str, Any], leaves: dict[str, Tensor]) -> bool:
    """Whether another temperature gives another gradient."""
    found = []
    inputs = [leaf for name, leaf in leaves.items() if not name.startswith("parameter")]
    for tau in (1.0, COLD):
        module, _ = _model(probe, tau=tau)
        output = probe.call(module, name="output", named=named)
        parts = [part for part in differences.tensors_of(output) if part.requires_grad]
        found.append(probe.gradients(differences.along(parts), inputs))
    return any(
        one is not None and other is not None and not torch.equal(one, other) for one, other in zip(*found, strict=True)
    )
