"""The same call in another way: under torch's flags of compiling, autocast, a checkpoint, torch.func's transforms.

Torch only and self-contained, like `values`: a failure's script carries these functions' own source text.
"""

from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.kit.differences import along, tensors_of
from sdtps_ref.properties.kit.later_calls.answers import answer, answer_of, copied, floating
from sdtps_ref.properties.kit.values import modules_in


def answer_while(flags: str, built: Any, arguments: list[Any], named: dict[str, Any], seed: int) -> dict[str, Tensor]:
    """What `built` answers while torch says that it is being compiled, exported or traced, though it is not."""
    from unittest import mock

    places = {
        "compiling": ("torch.compiler.is_compiling", "torch.compiler.is_dynamo_compiling"),
        "exporting": ("torch.compiler.is_compiling", "torch.compiler.is_exporting", "torch.onnx.is_in_onnx_export"),
        "tracing": ("torch.jit.is_tracing", "torch.jit.is_scripting"),
    }[flags]
    patches = [mock.patch(place, lambda: True) for place in places if _exists(place)]
    arguments, named = copied(arguments), copied(named)
    for patch in patches:
        patch.start()
    try:
        torch.manual_seed(seed)
        outputs = tensors_of(built(*arguments, **named))
    finally:
        for patch in patches:
            patch.stop()
    return answer_of(outputs, floating([arguments, named]), built)


def _exists(place: str) -> bool:
    owner: Any = torch
    for name in place.split(".")[1:]:
        owner = getattr(owner, name, None)
    return owner is not None


def answer_under_autocast(
    built: Any, arguments: list[Any], named: dict[str, Any], dtype: str, seed: int
) -> dict[str, Tensor]:
    """What `built` answers under autocast, its backward pass outside of it, as it should be."""
    arguments, named = copied(arguments), copied(named)
    given = floating([arguments, named])
    torch.manual_seed(seed)
    with torch.autocast(given[0].device.type, getattr(torch, dtype)):
        outputs = tensors_of(built(*arguments, **named))
    return answer_of(outputs, given, built)


def answer_without_gradients(
    way: str, built: Any, arguments: list[Any], named: dict[str, Any], seed: int
) -> dict[str, Tensor]:
    """The outputs where no gradient is asked for: of inputs that need none, under no_grad, or in inference mode."""
    arguments, named = copied(arguments), copied(named)
    for part in floating([arguments, named]):
        part.requires_grad_(False)
    torch.manual_seed(seed)
    with torch.inference_mode(way == "in inference mode"), torch.set_grad_enabled(way == "of inputs that need none"):
        outputs = tensors_of(built(*arguments, **named))
    return {f"output {i}": part.detach().clone() for i, part in enumerate(outputs)}


def answer_checkpointed(
    built: Any, arguments: list[Any], named: dict[str, Any], reentrant: bool, seed: int
) -> dict[str, Tensor]:
    """What `built` answers inside a checkpoint; where it is not reentrant, after another call of it."""
    from torch.utils.checkpoint import checkpoint

    arguments, named = copied(arguments), copied(named)
    given = floating([arguments, named])

    def run(*tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(tensors_of(built(*arguments, **named)))

    torch.manual_seed(seed)
    outputs = list(checkpoint(run, *given, use_reentrant=reentrant))
    if not reentrant:
        with torch.no_grad():
            built(*copied(arguments, 0.7), **copied(named, 0.7))
    if reentrant:  # which knows .grad only
        along(outputs).backward()
        parameters = [p for module in modules_in(built) for p in module.parameters()]
        found = {f"output {i}": part.detach().clone() for i, part in enumerate(outputs)}
        found |= {
            f"gradient to argument {i}": torch.zeros_like(part) if part.grad is None else part.grad
            for i, part in enumerate(given)
        }
        for parameter in parameters:
            parameter.grad = None
        return found
    return answer_of(outputs, given, built)


def directions(tensors: list[Tensor]) -> list[Tensor]:
    """A random direction for each tensor, always the same."""
    generator = torch.Generator().manual_seed(5)
    return [torch.randn(part.shape, generator=generator, dtype=torch.float64).to(part) for part in tensors]


def answer_of_transform(kind: str, built: Any, arguments: list[Tensor], seed: int) -> dict[str, Tensor]:
    """The gradient to the arguments, or what a sample's call gives, by one of torch.func's transforms; empty where
    torch cannot do it.
    """
    arguments = copied(arguments)
    plain = [part.detach() for part in arguments]

    def total(*given: Tensor) -> Tensor:
        return along(tensors_of(built(*given)))

    try:
        torch.manual_seed(seed)
        if kind == "torch.func.grad":
            found = torch.func.grad(total, argnums=tuple(range(len(plain))))(*plain)
            return {f"gradient to argument {i}": part.detach() for i, part in enumerate(found)}
        if kind == "torch.func.functional_call":
            if not isinstance(built, torch.nn.Module):
                return {}
            weights = {name: p.detach() * 1 for name, p in built.named_parameters()}
            outputs = tensors_of(torch.func.functional_call(built, weights, tuple(plain)))
            return {f"output {i}": part.detach() for i, part in enumerate(outputs)}
        if kind == "torch.func.vmap":

            def one(*given: Tensor) -> tuple[Tensor, ...]:
                return tuple(part[0] for part in tensors_of(built(*[g[None] for g in given])))

            outputs = list(torch.func.vmap(one, randomness="different")(*plain))
            return {f"output {i}": part.detach() for i, part in enumerate(outputs)}
        direction = directions(plain)
        slope = torch.func.jvp(total, tuple(plain), tuple(direction))[1]
        return {"derivative": slope.detach()}
    except (RuntimeError, NotImplementedError, ValueError, TypeError):
        return {}


def owed_by_autograd(built: Any, arguments: list[Tensor], seed: int) -> dict[str, Tensor]:
    """What the transforms should give: by plain autograd."""
    found = answer(built, arguments, {}, seed)
    given = [name for name in found if name.startswith("gradient to argument")]
    steps = directions(arguments)
    slopes = [(found[name] * step).double().sum() for name, step in zip(given, steps, strict=True)]
    found["derivative"] = torch.stack(slopes).sum()
    return found
