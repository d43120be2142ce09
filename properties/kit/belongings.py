"""What belongs to the caller: what was passed in, and what was returned.

Torch only and self-contained, like `values`: a failure's script carries these functions' own source text.
"""

from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.kit.differences import tensors_of
from sdtps_ref.properties.kit.later_calls.answers import copied, floating
from sdtps_ref.properties.kit.values import modules_in


def by_place(value: Any, place: str = "") -> dict[str, Tensor]:
    """The tensors among the arguments, by where they are."""
    if isinstance(value, dict):
        parts = [(f"{place}[{name!r}]", part) for name, part in value.items()]
    elif isinstance(value, (list, tuple)):
        parts = [(f"{place}[{i}]" if place else f"argument {i}", part) for i, part in enumerate(value)]
    else:
        return {place: value} if isinstance(value, Tensor) else {}
    return {where: tensor for at, part in parts for where, tensor in by_place(part, at).items()}


def called(built: Any, arguments: list[Any], named: dict[str, Any], way: str) -> Any:
    """What `built` returns, with gradients or without."""
    if way == "without gradients":
        with torch.no_grad():
            return built(*arguments, **named)
    if way == "in inference mode":
        with torch.inference_mode():
            return built(*arguments, **named)
    return built(*arguments, **named)


def changed_by_a_call(built: Any, arguments: list[Any], named: dict[str, Any], way: str) -> list[str]:
    """What a call changes in what it is given, in words."""
    given, given_named = copied(arguments), copied(named)
    if way != "of leaves":
        for tensor in floating([given, given_named]):
            tensor.requires_grad_(False)
    whole = [*given, given_named]
    before = by_place(whole)
    values = {where: tensor.detach().clone() for where, tensor in before.items()}
    facts = {
        where: (tensor._version, tensor.requires_grad, tensor.grad is None, not tensor._backward_hooks)
        for where, tensor in before.items()
    }
    orders = [list(part) for part in whole if isinstance(part, dict)]
    called(built, given, given_named, way)
    after = by_place(whole)
    found = [f"{where} is gone" for where in before if where not in after]
    found += [f"{where} was not there before" for where in after if where not in before]
    found += [f"{where} is another tensor" for where in before if after.get(where, before[where]) is not before[where]]
    if [list(part) for part in whole if isinstance(part, dict)] != orders:
        found.append("a mapping holds its names in another order")
    for where, tensor in before.items():
        if not torch.equal(tensor.detach(), values[where]) and not tensor.isnan().any():
            found.append(f"{where} holds other values")
        now = (tensor._version, tensor.requires_grad, tensor.grad is None, not tensor._backward_hooks)
        names = ("was written to", "has another requires_grad", "has a gradient", "has a hook")
        found += [
            f"{where} {name}" for name, was, is_now in zip(names, facts[where], now, strict=True) if was != is_now
        ]
    return found


def results_that_change(built: Any, arguments: list[Any], named: dict[str, Any], way: str, seed: int) -> list[str]:
    """Which results of a call change in later ones, and what changes when they are written into; in words."""
    given, given_named = copied(arguments), copied(named)
    later, later_named = copied(arguments), copied(named)
    for tensor in floating([given, given_named, later, later_named]):
        tensor.requires_grad_(False)
    torch.manual_seed(seed)
    first = tensors_of(called(built, given, given_named, way), every=True)
    kept = [part.detach().clone() for part in first]
    for scale in (1.0, 0.7, 0.3):
        called(built, copied(arguments, scale), copied(named, scale), way)
    found = [
        f"result {i} of a call changed in later calls, but should stay what it was"
        for i, (part, was) in enumerate(zip(first, kept, strict=True))
        if not torch.equal(part.detach(), was) and not was.isnan().any()
    ]
    held = {f"weight {name}": p for module in modules_in(built) for name, p in module.state_dict().items()}
    held |= by_place([*given, given_named])
    values = {name: part.detach().clone() for name, part in held.items()}
    with torch.inference_mode(way == "in inference mode"), torch.no_grad():
        for part in first:
            part.detach().fill_(3 if part.is_floating_point() else 1)
    found += [
        f"writing into the results changes {name}, but should change nothing else"
        for name, part in held.items()
        if not torch.equal(part.detach(), values[name]) and not values[name].isnan().any()
    ]
    torch.manual_seed(seed)
    again = tensors_of(called(built, later, later_named, way), every=True)
    found += [
        f"result {i} of a later call changed when the first call's was written into, but should not"
        for i, (part, was) in enumerate(zip(again, kept, strict=True))
        if part.shape == was.shape and not torch.equal(part.detach(), was) and not was.isnan().any()
    ]
    return found
