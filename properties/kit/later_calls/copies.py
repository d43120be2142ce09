"""Copies and changed weights, and what is answered with them."""

from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.kit.later_calls.answers import answer, copied, evaluated, weights_of
from sdtps_ref.properties.kit.later_calls.disturbances import call_aside
from sdtps_ref.properties.kit.values import modules_in


def copy_of(built: Any, kind: str) -> Any:
    """Another one like `built`, the way that `kind` says; None where it cannot be had that way."""
    import copy
    import io
    import pickle

    try:
        if kind == "copy.deepcopy":
            return copy.deepcopy(built)
        if kind == "pickle":
            return pickle.loads(pickle.dumps(built))
        held = io.BytesIO()
        torch.save(built, held)
        held.seek(0)
        return torch.load(held, weights_only=False)
    except Exception:
        return None


def answer_of_copy(built: Any, arguments: list[Any], named: dict[str, Any], kind: str, seed: int) -> dict[str, Tensor]:
    """What a copy answers; empty where there is none."""
    other = copy_of(built, kind)
    return {} if other is None else answer(other, arguments, named, seed)


def answer_beside_copy(
    built: Any, arguments: list[Any], named: dict[str, Any], kind: str, seed: int
) -> dict[str, Tensor]:
    """What `built` answers once the weights of a copy of it were changed, and the copy called."""
    other = copy_of(built, kind)
    if other is not None:
        with torch.no_grad():
            for parameter in weights_of(other).values():
                parameter.mul_(1.5)
        call_aside(other, copied(arguments, 0.7), copied(named, 0.7))
    return answer(built, arguments, named, seed)


def answer_of_loaded(
    built: Any, other: Any, arguments: list[Any], named: dict[str, Any], seed: int
) -> dict[str, Tensor]:
    """What `other` answers with the saved weights of `built`, as a program that starts anew loads them."""
    import io

    held = io.BytesIO()
    torch.save([module.state_dict() for module in modules_in(built)], held)
    held.seek(0)
    for module, state in zip(modules_in(other), torch.load(held, weights_only=True), strict=True):
        module.load_state_dict(state)
    return answer(other, arguments, named, seed)


def change_weights(built: Any, kind: str) -> None:
    """Other weights, the way that `kind` says: always the same ones."""
    with torch.no_grad():
        for i, parameter in enumerate(weights_of(built).values()):
            generator = torch.Generator().manual_seed(i)
            change = 0.1 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64).to(parameter)
            if kind == "as new data":
                parameter.data = parameter.data + change
            else:
                parameter.add_(change)


def answer_with_other_weights(
    built: Any, fresh: Any, arguments: list[Any], named: dict[str, Any], kind: str, seed: int
) -> list[dict[str, Tensor]]:
    """What `built` answers once its weights were changed after a call in each mode, and what `fresh` does, which was
    never called before; two empty answers where there are no weights to change."""
    if not weights_of(built):
        return [{}, {}]
    modes = [module.training for module in modules_in(built)]
    for training in (True, False):
        for module in modules_in(built):
            module.train(training)
        with torch.no_grad():
            call_aside(built, copied(arguments), copied(named))
    for module, mode in zip(modules_in(built), modes, strict=True):
        module.train(mode)
    answer(built, arguments, named, seed)
    change_weights(built, kind)
    change_weights(fresh, "in place")
    return [answer(built, arguments, named, seed), answer(fresh, arguments, named, seed)]


def evaluated_with_other_weights(
    built: Any, fresh: Any, arguments: list[Any], named: dict[str, Any], kind: str, seed: int
) -> list[dict[str, Tensor]]:
    """The same without gradients, and without a call that has them: one checkpoint is evaluated after another."""
    if not weights_of(built):
        return [{}, {}]
    evaluated(built, arguments, named, seed)
    for each in (built, fresh):
        change_weights(each, kind)
    return [evaluated(built, arguments, named, seed), evaluated(fresh, arguments, named, seed)]
