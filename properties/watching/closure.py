"""What a closure that runs one forward pass calls: most call one module, which can then be judged as if handed over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._pytree import tree_leaves


@dataclass(frozen=True)
class ModuleCall:
    """The one call of a module that a closure makes. is_all: whether what it returns is the closure's whole answer."""

    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    is_all: bool


class _Stopped(BaseException):
    """The first module was reached: it is not called."""


def module_call(closure: Callable[[], Any]) -> ModuleCall | None:
    """The call of a module in which this closure's work is done; None where it makes several, or sets a mode itself."""
    calls: list[tuple[nn.Module, tuple[Any, ...], dict[str, Any], Any]] = []
    with torch.random.fork_rng(devices=[]), _outermost(calls):
        try:
            answer = closure()
        except Exception:  # it is raised again where the closure is judged
            return None
    if len(calls) != 1:
        return None
    module, args, kwargs, returned = calls[0]
    own = {id(tensor) for tensor in _tensors(returned)}
    made_before = any(tensor.grad_fn is not None for tensor in _tensors((args, kwargs)))
    is_all = not made_before and all(id(tensor) in own for tensor in _tensors(answer))
    return ModuleCall(module, args, kwargs, is_all) if _keeps_mode(closure, module) else None


def first_module(closure: Callable[[], Any]) -> tuple[nn.Module, tuple[Any, ...], dict[str, Any]]:
    """The first module that a closure calls and what it is given, without calling it."""
    found: list[Any] = []

    def stop(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        found.extend((module, args, kwargs))
        raise _Stopped

    calls = nn.Module.__call__
    nn.Module.__call__ = lambda module, *args, **kwargs: stop(module, args, kwargs)  # type: ignore[method-assign]
    try:
        with torch.random.fork_rng(devices=[]):
            closure()
    except _Stopped:
        pass
    finally:
        nn.Module.__call__ = calls  # type: ignore[method-assign]
    module, args, kwargs = found
    return module, args, kwargs


def ask_for_gradients(closure: Callable[[], Any]) -> None:
    """Let the tensors that a closure holds require grad, as those of a call that is handed over do."""
    held = [cell.cell_contents for cell in closure.__closure__ or ()] if hasattr(closure, "__closure__") else []
    leaves = [t for t in _tensors(held) if t.is_floating_point() and not t.requires_grad and t.grad_fn is None]
    for tensor in leaves:
        tensor.requires_grad_()
    try:
        with torch.random.fork_rng(devices=[]):
            closure()
    except Exception:  # it writes into them
        for tensor in leaves:
            tensor.requires_grad_(False)


@contextmanager
def _outermost(calls: list[Any]) -> Iterator[None]:
    depth = 0

    def before(module: nn.Module, args: Any) -> None:
        nonlocal depth
        depth += 1

    def after(module: nn.Module, args: Any, kwargs: Any, returned: Any) -> None:
        nonlocal depth
        depth -= 1
        if not depth:
            calls.append((module, args, kwargs, returned))

    hooks = [
        register_module_forward_pre_hook(before),
        register_module_forward_hook(after, with_kwargs=True, always_call=True),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _tensors(value: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]


def _keeps_mode(closure: Callable[[], Any], module: nn.Module) -> bool:
    """Whether the module is in the mode that it was in before the closure ran, whichever that was."""
    was = module.training
    try:
        with torch.random.fork_rng(devices=[]):
            module.train(not was)
            closure()
        return module.training is not was
    except Exception:
        return False
    finally:
        module.train(was)
