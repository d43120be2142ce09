"""What may come between two calls, and what a call answers: its outputs, and the gradients to all it was given.

Torch only and self-contained, like `values`: a failure's script carries these functions' own source text.
"""

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
        torch.manual_seed(seed)
        with torch.no_grad():
            outputs = tensors_of(built(*copied(arguments), **copied(named)))
        found |= {f"output {i} without gradients": part.clone() for i, part in enumerate(outputs)}
    return found


def call_aside(built: Any, arguments: list[Any], named: dict[str, Any]) -> None:
    """A call whose result nobody uses; it may raise."""
    import contextlib

    with contextlib.suppress(Exception):
        built(*arguments, **named)


class Interrupting(torch.overrides.TorchFunctionMode):
    """Counts torch's calls, and raises in place of the one with the number `at`, as a device out of memory does."""

    def __init__(self, at: int = -1) -> None:
        super().__init__()
        self.at, self.calls = at, 0

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        # What is no computation raises for nobody: a shape that is read, a switch that is put back.
        counts = getattr(function, "__name__", "") not in ("__get__", "size", "dim") and "grad" not in str(function)
        self.calls += counts
        if counts and self.calls - 1 == self.at:
            raise RuntimeError("interrupted here, as a device that is out of memory would")
        return function(*args, **(kwargs or {}))


def interrupt(built: Any, arguments: list[Any], named: dict[str, Any], places: int = 6) -> None:
    """Calls that raise inside, at so many places spread over the forward pass."""
    counting = Interrupting()
    modes = [counting]
    while modes:
        mode, given, given_named = modes.pop(0), copied(arguments, 0.7), copied(named, 0.7)
        with mode:
            call_aside(built, given, given_named)
        if mode is counting:
            modes = [Interrupting((2 * i + 1) * counting.calls // (2 * places)) for i in range(places)]


def raising(built: Any, arguments: list[Any], named: dict[str, Any]) -> None:
    """Calls that raise: of arguments that are cut short, of too few of them, and inside."""
    given, given_named = copied(arguments, 0.7), copied(named, 0.7)
    wrong = [part[..., :-1] if isinstance(part, Tensor) else part for part in given]
    wrong_named = {name: part[..., :-1] if isinstance(part, Tensor) else part for name, part in given_named.items()}
    call_aside(built, wrong, wrong_named)
    call_aside(built, given[:1], {})
    interrupt(built, arguments, named)


def disturb(built: Any, arguments: list[Any], named: dict[str, Any], kind: str) -> None:
    """Do one of the things that may come between two calls; the weights, the mode and the dtype are as they were."""
    import copy

    modules = modules_in(built)
    modes = [module.training for module in modules]
    others, other_named = copied(arguments, 0.7), copied(named, 0.7)
    if kind == "a call with other values and its backward pass":
        outputs = tensors_of(built(*others, **other_named))
        if along(outputs).requires_grad:
            along(outputs).backward()
        for module in modules:
            module.zero_grad()
    elif kind == "a call with twice the batch":
        call_aside(built, copied(arguments, 0.7, 2), copied(named, 0.7, 2))
    elif kind == "a call in the other mode":
        for module in modules:
            module.train(not module.training)
        call_aside(built, others, other_named)
    elif kind == "eval() and train()":
        for module in modules:
            module.eval()
            module.train()
    elif kind == "a call in inference mode":
        with torch.inference_mode():
            call_aside(built, copied(arguments), copied(named))
    elif kind == "a call without gradients":
        with torch.no_grad():
            call_aside(built, copied(arguments), copied(named))
    elif kind == "a call under autocast":
        device = floating([arguments, named])[0].device.type
        with torch.autocast(device, torch.bfloat16):
            call_aside(built, copied(arguments), copied(named))
    elif kind == "a call that raised":
        raising(built, arguments, named)
    elif kind == "a call in another dtype":
        own = floating([arguments, named])[0].dtype
        double = [part.double() if isinstance(part, Tensor) else part for part in others]
        double_named = {name: part.double() if isinstance(part, Tensor) else part for name, part in other_named.items()}
        if own == torch.float32:  # there and back the weights stay what they are
            for module in modules:
                module.double()
            call_aside(built, double, double_named)
            for module in modules:
                module.to(own)
    elif kind == "ten calls":
        with torch.no_grad():
            for _ in range(10):
                built(*arguments, **named)
    elif kind == "frozen and thawed":
        held = list(weights_of(built).values())
        for parameter in held:
            parameter.requires_grad_(False)
        call_aside(built, copied(arguments), copied(named))
        for parameter in held:
            parameter.requires_grad_(True)
    elif kind == "its own state_dict loaded":
        for module in modules:
            module.load_state_dict(copy.deepcopy(module.state_dict()))
    for module, mode in zip(modules, modes, strict=True):
        module.train(mode)


def answer_after(built: Any, arguments: list[Any], named: dict[str, Any], kind: str, seed: int) -> dict[str, Tensor]:
    """What `built` answers after something came before."""
    disturb(built, arguments, named, kind)
    return answer(built, arguments, named, seed)


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


def answer_in_the_same_memory(built: Any, arguments: list[Any], named: dict[str, Any], seed: int) -> dict[str, Tensor]:
    """What `built` answers in memory that held other values in the calls before."""
    given, given_named = copied(arguments, 0.7), copied(named, 0.7)
    held = floating([given, given_named])
    call_aside(built, given, given_named)
    with torch.no_grad():
        call_aside(built, given, given_named)
        for tensor, value in zip(held, floating([arguments, named]), strict=True):
            tensor.copy_(value)
        call_aside(built, given, given_named)
    torch.manual_seed(seed)
    return answer_of(tensors_of(built(*given, **given_named)), held, built)


def answer_after_a_newer_call(
    built: Any, arguments: list[Any], named: dict[str, Any], seed: int, backward: bool
) -> dict[str, Tensor]:
    """What `built` answers where its backward pass comes after newer calls, and after the newer one's backward pass."""
    given, given_named = copied(arguments), copied(named)
    torch.manual_seed(seed)
    outputs = tensors_of(built(*given, **given_named))
    newer = tensors_of(built(*copied(arguments, 0.7), **copied(named, 0.7)))
    modes = [module.training for module in modules_in(built)]
    for module in modules_in(built):
        module.train(not module.training)
    with torch.no_grad():
        call_aside(built, copied(arguments, 0.3), copied(named, 0.3))
    for module, mode in zip(modules_in(built), modes, strict=True):
        module.train(mode)
    if backward and along(newer).requires_grad:
        along(newer).backward()
        for module in modules_in(built):
            module.zero_grad()
    return answer_of(outputs, floating([given, given_named]), built)


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


def answers_of_states(built: Any, arguments: list[Any], named: dict[str, Any], seed: int) -> list[dict[str, Tensor]]:
    """What `built` answers from a state of torch's generator, from that state again after other calls, and from a later
    state of the same seed."""

    def once() -> dict[str, Tensor]:
        given, given_named = copied(arguments), copied(named)
        outputs = tensors_of(built(*given, **given_named))
        return answer_of(outputs, floating([given, given_named]), built)

    torch.manual_seed(seed + 11)
    torch.rand(3)
    state = torch.get_rng_state()
    first = once()
    call_aside(built, copied(arguments, 0.7), copied(named, 0.7))
    torch.set_rng_state(state)
    resumed = once()
    torch.manual_seed(seed + 11)
    torch.rand(1000)
    return [first, resumed, once()]
