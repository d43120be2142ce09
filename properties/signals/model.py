"""What a model takes and returns, whatever it is packed in: tensors and where they were found."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.places import tensors as tensors
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.values import modules_in


def trainable(value: Any, place: str) -> dict[str, Tensor]:
    """The tensors of `value` that carry a gradient, by where they were found."""
    return {where: part for where, part in tensors(value, place) if part.requires_grad and part.is_floating_point()}


def own_inputs(
    probe: Probe, inputs: Any, change: Callable[[str, Tensor], Tensor | None] | None = None, place: str = "model[1]"
) -> Any:
    """The model's inputs once more: in the case's dtype and device, floating ones requiring grad, known to the script.

    change: asked with the place and the value of each floating input; what it returns, if not None, is taken
    as it is, and the script must know it already.
    """
    if isinstance(inputs, Mapping):
        return {name: own_inputs(probe, part, change, f"{place}[{name!r}]") for name, part in inputs.items()}
    if isinstance(inputs, (tuple, list)):
        return [own_inputs(probe, part, change, f"{place}[{i}]") for i, part in enumerate(inputs)]
    if not isinstance(inputs, Tensor):
        return inputs
    floating = inputs.is_floating_point()
    changed = change(place, inputs) if change and floating else None
    if changed is not None:
        return changed
    value = inputs.detach().to(probe.case.device, probe.case.torch_dtype if floating else inputs.dtype).clone()
    value.requires_grad_(floating)
    to = f"{probe.case.device!r}, {value.dtype}"
    probe.script.define_value(short(place), value, f"{place}.detach().to({to}).clone()", needs=())
    return value


def short(place: str) -> str:
    """The last name in an expression such as model[1]['tokens']."""
    name = place.rpartition("[")[2].strip("]'\"")
    return name if name.isidentifier() else "given"


def leaves(outputs: list[Tensor]) -> list[Tensor]:
    """The tensors at which the graph behind `outputs` begins: those whose gradient it accumulates."""
    found: list[Tensor] = []
    seen: set[Node] = set()
    waiting = [output.grad_fn for output in outputs]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.append(node.variable)
        waiting += [before for before, _ in node.next_functions]
    return found


def built_model(probe: Probe) -> tuple[Any, dict[str, Any]]:
    """What the `model` factory returned, if it is a module and its inputs."""
    built = probe.build("model")
    if not (isinstance(built, tuple) and len(built) == 2 and callable(built[0]) and isinstance(built[1], Mapping)):
        raise Violation(f"model(...) returned {type(built).__name__}, but should return (module, {{argument: tensor}})")
    return built


def run(probe: Probe, module: Any, inputs: dict[str, Any], *, seed: int = 0) -> dict[str, Tensor]:
    """What of the model's output carries a gradient, by where it was found."""
    result = probe.call(module, name="output", named=inputs, seed=seed)
    outputs = trainable(result, probe.script.last)
    if not outputs:
        raise Violation("the model's output carries no gradient, but should: nothing in the model can be trained")
    return outputs


def objective(probe: Probe, outputs: dict[str, Tensor]) -> Tensor:
    """One number made of all of `outputs` with random cotangents."""
    terms = [(part * probe.random(part)).sum().double() for part in outputs.values()]
    return torch.stack(terms).sum()


def parameters(probe: Probe, module: Any) -> dict[str, Tensor]:
    """The trainable parameters by name, known to the script."""
    if isinstance(module, nn.Module):
        found = dict(module.named_parameters())
        for name, parameter in found.items():
            probe.script.name(parameter, f"{probe.script.shown(module)}.get_parameter({name!r})")
    else:
        found = dict(itertools.chain.from_iterable(part.named_parameters() for part in modules_in(module)))
    return {name: parameter for name, parameter in found.items() if parameter.requires_grad}
