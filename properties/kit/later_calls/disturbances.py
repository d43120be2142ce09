"""What may come between two calls: calls of other kinds, calls that raise, changes of mode."""

from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.kit.differences import along, tensors_of
from sdtps_ref.properties.kit.later_calls.answers import answer, answer_of, copied, floating, weights_of
from sdtps_ref.properties.kit.values import modules_in


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
