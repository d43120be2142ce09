"""`FILE.py:example`: a function without arguments that hands over a module and the arguments of one call."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from sdtps_ref.errors import SDTPSError
from sdtps_ref.properties.watching.arguments import described
from sdtps_ref.properties.watching.closure import ask_for_gradients, first_module, module_call
from sdtps_ref.properties.watching.recipe import Recipe
from sdtps_ref.properties.watching.subject import Subject


class ExampleError(SDTPSError):
    """An example that does not hand over what can be called."""


def subject_of_example(example: Callable[[], Any]) -> Subject:
    """What `example()` returns: (module, args), (module, args, kwargs), or a closure that runs one forward pass."""
    name = getattr(example, "__name__", "example")
    given = _handed_over(example)
    if isinstance(given, tuple) and 2 <= len(given) <= 3 and callable(given[0]):
        called, args, *rest = given
        kwargs = rest[0] if rest else {}
        if isinstance(args, dict) and not rest:
            args, kwargs = (), args
        args = tuple(args) if isinstance(args, (tuple, list)) else (args,)
        owner = getattr(called, "__self__", called)  # a module's own method will do as well
        module = owner if isinstance(owner, nn.Module) else None
        told = _told(name, type(called).__name__ if module is not None else name, args, kwargs)
        recipe = Recipe(getattr(sys.modules.get(example.__module__), "__file__", None) or "", name)
        again = (lambda: example()[0]) if called is module else None
        return Subject(
            name, called, lambda seed: (list(args), dict(kwargs)), module, told, recipe=recipe, rebuild=again
        )
    if callable(given):
        return _of_closure(name, given, example)
    raise ExampleError(
        f"given {name}(), which returned {type(given).__name__}; accepted: (module, args), (module, args, kwargs), or "
        "a function that runs one forward pass"
    )


def _of_closure(name: str, closure: Callable[[], Any], example: Callable[[], Any]) -> Subject:
    """The call of a module that a closure makes, where that is all of its work; else the closure as it is."""
    call = module_call(closure)
    closure = _handed_over(example)  # of a module that was not called yet
    if call is not None and call.is_all:
        module, args, kwargs = first_module(closure)
        again = lambda: first_module(_handed_over(example))[0]  # noqa: E731
        told = _told(name, type(module).__name__, args, kwargs)
        return Subject(name, module, lambda seed: (list(args), dict(kwargs)), module, told, rebuild=again)
    told = f"{name}(): a function that runs one forward pass"
    ask_for_gradients(closure)
    return Subject(name, closure, lambda seed: ([], {}), None if call is None else call.module, told)


def _handed_over(example: Callable[[], Any]) -> Any:
    torch.manual_seed(0)
    return example()


def _told(name: str, called: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    shown = ", ".join([*map(described, args), *(f"{k} {described(v)}" for k, v in kwargs.items())])
    return f"{name}(): {called} called with {shown}"
