"""What a call answers: its outputs, and the gradients to all it was given."""

from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.kit.differences import along, tensors_of
from sdtps_ref.properties.kit.values import modules_in


def copied(value: Any, scale: float = 1.0, rows: int = 1) -> Any:
    """The arguments once more, each tensor of its own; scale: times that; rows: so many times over the batch."""
    if isinstance(value, dict):
        return {name: copied(part, scale, rows) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [copied(part, scale, rows) for part in value]
    if not isinstance(value, Tensor):
        return value
    made = value.detach().clone()
    if made.is_floating_point() and scale != 1.0:
        made = made.flip(-1) * scale
    made = torch.cat([made] * rows) if rows > 1 and made.dim() else made
    return made.requires_grad_(made.is_floating_point())


def floating(value: Any) -> list[Tensor]:
    """The floating tensors among the arguments."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else None
    if parts is not None:
        return [tensor for part in parts for tensor in floating(part)]
    return [value] if isinstance(value, Tensor) and value.is_floating_point() else []


def weights_of(built: Any) -> dict[str, Tensor]:
    """The parameters that are trained, by name."""
    return {
        name: parameter
        for module in modules_in(built)
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
    }


def answer_of(outputs: list[Tensor], given: list[Tensor], built: Any) -> dict[str, Tensor]:
    """The outputs, and the gradients of all of them to what was given and to every parameter."""
    named = weights_of(built)
    wanted = [*[part for part in given if part.requires_grad], *named.values()]
    total = along(outputs)
    found = torch.autograd.grad(total, wanted, allow_unused=True) if total.requires_grad else [None] * len(wanted)
    names = [*[f"gradient to argument {i}" for i in range(len(wanted) - len(named))]]
    names += [f"gradient to parameter {name}" for name in named]
    answer = {f"output {i}": part.detach().clone() for i, part in enumerate(outputs)}
    for name, part, source in zip(names, found, wanted, strict=True):
        answer[name] = torch.zeros_like(source) if part is None else part
    return answer


def answer(built: Any, arguments: list[Any], named: dict[str, Any], seed: int) -> dict[str, Tensor]:
    """What `built` answers when it is called with copies of the arguments, after that seed; where nothing of it trains,
    also what it answers without gradients, as it is evaluated."""
    arguments, named = copied(arguments), copied(named)
    torch.manual_seed(seed)
    outputs = tensors_of(built(*arguments, **named))
    found = answer_of(outputs, floating([arguments, named]), built)
    if not any(module.training for module in modules_in(built)):
        found |= evaluated(built, arguments, named, seed)
    return found


def evaluated(built: Any, arguments: list[Any], named: dict[str, Any], seed: int) -> dict[str, Tensor]:
    """What `built` answers without gradients."""
    torch.manual_seed(seed)
    with torch.no_grad():
        outputs = tensors_of(built(*copied(arguments), **copied(named)))
    return {f"output {i} without gradients": part.clone() for i, part in enumerate(outputs)}


def accumulated(built: Any, arguments: list[Any], named: dict[str, Any], seed: int) -> dict[str, Tensor]:
    """Half of what two backward passes leave in .grad: the gradients to what was given and to every parameter."""
    given, given_named = copied(arguments), copied(named)
    for module in modules_in(built):
        module.zero_grad()
    outputs: list[Tensor] = []
    for _ in range(2):
        torch.manual_seed(seed)
        outputs = tensors_of(built(*given, **given_named))
        if along(outputs).requires_grad:
            along(outputs).backward()
    found = {f"output {i}": part.detach().clone() for i, part in enumerate(outputs)}
    held = [part for part in floating([given, given_named]) if part.requires_grad]
    named_leaves = [(f"gradient to argument {i}", part) for i, part in enumerate(held)]
    named_leaves += [(f"gradient to parameter {name}", part) for name, part in weights_of(built).items()]
    for name, leaf in named_leaves:
        found[name] = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad.detach() / 2
    for module in modules_in(built):
        module.zero_grad()
    return found
