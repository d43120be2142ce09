"""What decides between right and wrong: the judge's own functions, and those of torch and Python that it decides with.

They are compared with what they were before the implementation was loaded. Code that meddles is no longer judged by
what it does, so what it replaced is told, and there is no certificate. See the page on the threat model.
"""

import builtins
import dataclasses
import json
import math
import sys
from collections.abc import Iterator, Sequence
from types import FunctionType, ModuleType
from typing import Any

import hypothesis
import torch

from sdtps_ref.properties.kit.law import all_laws
from sdtps_ref.properties.kit.outcomes import JUDGE, SUBJECTS

# Of torch, what laws compare, differentiate and draw with; the rest is the implementation's own affair.
TORCH = """
abs all allclose amax amin any arange argmax argmin argsort autograd backends cat einsum empty enable_grad equal eye
finfo full gather isclose isfinite isinf isnan linspace manual_seed matmul max maximum min minimum no_grad nonzero norm
ones ones_like rand randn softmax sort stack sum tensor topk unravel_index where zeros zeros_like
"""
TENSORS = """
abs all amax amin any argmax argsort clone contiguous cpu detach double equal expand_as flatten gather isfinite isinf
isnan item max mean min new_zeros nonzero norm numel permute requires_grad_ reshape softmax sum to tolist topk transpose
view __add__ __and__ __bool__ __eq__ __float__ __ge__ __getitem__ __gt__ __int__ __invert__ __le__ __lt__ __matmul__
__mul__ __ne__ __neg__ __or__ __rsub__ __sub__ __truediv__
"""
MODULES = "__call__ __getattr__ eval named_parameters parameters state_dict to train"
OF_PYTHON = (
    (builtins, [name for name in vars(builtins) if name not in ("_", "__debug__")]),
    (math, [name for name in vars(math) if not name.startswith("_")]),
    (json, ["dumps", "loads"]),
    (dataclasses, ["asdict", "fields", "replace"]),
    (hypothesis, ["given", "settings", "seed"]),
)
SHOWN = 3  # of the names of what was replaced


class Deciding:
    """What decides, as it is now."""

    def __init__(self) -> None:
        all_laws()  # imports whatever is the judge's, so that it is known before there is anybody to replace it
        self.was = [
            (name, owner, attribute, _kept(_read(owner, attribute))) for name, owner, attribute in _all_that_decides()
        ]

    def replaced(self) -> list[str]:
        """The names of what is no longer what it was."""
        return [
            name for name, owner, attribute, was in self.was if not _same(name, was, _kept(_read(owner, attribute)))
        ]


def told(replaced: Sequence[str]) -> str:
    """What was replaced, in a line."""
    several = f", and {len(replaced) - SHOWN} more" if len(replaced) > SHOWN else ""
    return f"the implementation replaced {', '.join(replaced[:SHOWN])}{several}: what decides between right and wrong"


def _all_that_decides() -> Iterator[tuple[str, Any, str]]:
    """A name to tell, and where it is: an owner and one of its attributes. Modules belong to `sys.modules`."""
    for name, module in sorted(sys.modules.items()):
        if isinstance(name, str) and name.startswith(JUDGE) and not name.startswith(SUBJECTS) and ".tests" not in name:
            yield from _of_module(name, module)
    owners: list[tuple[str, Any, list[str]]] = [
        ("torch", torch, TORCH.split()),
        ("torch.Tensor", torch.Tensor, TENSORS.split()),
        ("torch.nn.Module", torch.nn.Module, MODULES.split()),
        ("torch.autograd", torch.autograd, ["grad", "backward"]),
        ("torch.nn.functional", torch.nn.functional, ["softmax"]),
    ]
    owners += [(module.__name__, module, names) for module, names in OF_PYTHON]
    for place, owner, names in owners:
        yield from ((f"{place}.{name}", owner, name) for name in names)


def _of_module(name: str, module: Any) -> Iterator[tuple[str, Any, str]]:
    told = name.removeprefix(JUDGE)
    yield told, sys.modules, name
    if not isinstance(module, ModuleType):
        return
    for attribute, value in list(vars(module).items()):
        if attribute.startswith("__"):
            continue
        yield f"{told}.{attribute}", module, attribute
        if isinstance(value, type) and value.__module__ == module.__name__:
            for method, part in list(vars(value).items()):
                if callable(part) or isinstance(part, (property, classmethod, staticmethod)):
                    yield f"{told}.{attribute}.{method}", value, method


def _read(owner: Any, attribute: str) -> Any:
    """What the owner has by that name: itself, before what it inherits, so that a property stays one."""
    own = owner if owner is sys.modules else vars(owner)
    return own[attribute] if attribute in own else getattr(owner, attribute, None)


def _kept(value: Any) -> Any:
    """The thing itself, and of a function its code as well, which can be replaced in place."""
    return (value, value.__code__, value.__defaults__) if isinstance(value, FunctionType) else value


def _same(name: str, was: Any, now: Any) -> bool:
    if isinstance(was, tuple) and isinstance(now, tuple) and all(one is other for one, other in zip(was, now)):  # noqa: B905
        return True
    return was is now or (name.startswith("torch.") and _is_torchs_own(name, now))


def _is_torchs_own(name: str, value: Any) -> bool:
    """Torch wraps some of its functions itself, when dynamo is first imported."""
    function = value[0] if isinstance(value, tuple) else value
    if not isinstance(function, FunctionType) or function.__name__ != name.rpartition(".")[2]:
        return False
    return function.__code__.co_filename.startswith(str(torch.__path__[0]))
