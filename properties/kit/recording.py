"""What a law computes itself, written down as it computes it, so that a failure's script computes it too."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode, resolve_name

BINARY = {
    "__add__": "+", "add": "+", "__sub__": "-", "sub": "-", "__mul__": "*", "mul": "*", "__truediv__": "/",
    "div": "/", "__floordiv__": "//", "__mod__": "%", "remainder": "%", "__pow__": "**", "pow": "**",
    "__matmul__": "@", "matmul": "@", "__and__": "&", "__or__": "|", "__xor__": "^", "__lt__": "<", "lt": "<",
    "__le__": "<=", "le": "<=", "__gt__": ">", "gt": ">", "__ge__": ">=", "ge": ">=", "__eq__": "==", "eq": "==",
    "__ne__": "!=", "ne": "!=",
}  # fmt: skip
REFLECTED = {"__radd__", "__rsub__", "__rmul__", "__rtruediv__", "__rdiv__", "__rpow__", "__rmatmul__"}
UNARY = {"__neg__": "-", "neg": "-", "__invert__": "~", "bitwise_not": "~"}
SYMBOLS = BINARY | {"__rdiv__": "/"} | {f"__r{name[2:]}": symbol for name, symbol in BINARY.items() if name[0] == "_"}
FILLED = {"zeros", "ones", "full", "zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full"}
VIEWS = {"detach", "diagonal", "expand", "transpose", "unsqueeze", "view"}
RANDOM = {"rand", "randn", "randint", "randperm", "bernoulli", "dropout", "rand_like", "randn_like"}
PLAIN = (str, int, float, bool, type(None), type(...), torch.dtype, torch.device, torch.memory_format)


@dataclass(eq=False)
class Operation:
    """One call of torch. name: what the script calls its result, once something asks for it."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    named: dict[str, Any]
    result: Any
    name: str = ""
    known: bool | None = None  # whether all of its arguments are; None as long as nobody asked

    @property
    def torch_name(self) -> str:
        """The function's name without its place: `add`, `__getitem__`."""
        return getattr(self.function, "__name__", "")

    @property
    def writes(self) -> bool:
        """Whether it changes its first argument in place."""
        name = self.torch_name
        return (
            name == "__setitem__"
            or (name.endswith("_") and not name.endswith("__"))
            or (name.startswith("__i") and (name not in ("__invert__", "__int__", "__index__", "__iter__")))
        )

    @property
    def is_view(self) -> bool:
        """Whether its result shares memory with its first argument, so that it is the same whenever it is taken."""
        if self.torch_name == "__getitem__":
            index = self.arguments[1] if isinstance(self.arguments[1], tuple) else (self.arguments[1],)
            return all(isinstance(part, (int, slice, type(None), type(...))) for part in index)
        return self.torch_name in VIEWS or self.torch_name == "__get__"

    def tensors(self) -> Iterator[Tensor]:
        """The tensors among its arguments, in lists and slices too."""
        yield from _tensors([*self.arguments, *self.named.values()])

    def results(self) -> Iterator[tuple[str, Tensor]]:
        """Its tensors, each with the expression that takes it from the result: "", "[0]" or ".indices"."""
        if isinstance(self.result, Tensor):
            yield "", self.result
            return
        fields = [name for name in dir(self.result) if not name.startswith(("_", "n_"))]
        for i, part in enumerate(self.result):
            if isinstance(part, Tensor):
                called = [name for name in fields if getattr(self.result, name) is part]
                yield f".{called[0]}" if called else f"[{i}]", part

    def is_writable(self) -> bool:
        """Whether it can be written down: not if it was given a generator, say, or draws from torch's."""
        return self.torch_name not in RANDOM and all(
            _is_plain(argument) for argument in (*self.arguments, *self.named.values())
        )

    def written(self, shown: Callable[[Tensor], str]) -> str:
        """The expression. shown: how a tensor is written."""
        name = self.torch_name

        def write(value: Any) -> str:
            return _written(value, shown)

        if name == "__get__":
            return f"{write(self.arguments[0])}.{self.function.__self__.__name__}"  # type: ignore[attr-defined]
        if name == "__getitem__":
            return f"{write(self.arguments[0])}[{_index(self.arguments[1], shown)}]"
        if name == "__setitem__":
            place = f"{write(self.arguments[0])}[{_index(self.arguments[1], shown)}]"
            return f"{place} = {write(self.arguments[2])}"
        if name in UNARY:
            return f"({UNARY[name]}{write(self.arguments[0])})"
        if name in SYMBOLS and len(self.arguments) == 2 and not self.named:
            left, right = self.arguments[::-1] if name in REFLECTED else self.arguments
            return f"({write(left)} {SYMBOLS[name]} {write(right)})"
        parts = [write(argument) for argument in self.arguments]
        keywords = [f"{key}={write(value)}" for key, value in self.named.items()]
        full = resolve_name(self.function) or f"torch.{name}"
        if full.startswith("torch.Tensor."):
            return f"{parts[0]}.{full.removeprefix('torch.Tensor.')}({', '.join(parts[1:] + keywords)})"
        return f"{full}({', '.join(parts + keywords)})"


class Recorder(TorchFunctionMode):
    """Tells `note` of every call of torch that a law makes. Nothing is written out unless a script is wanted."""

    def __init__(self, note: Callable[[Operation], None]):
        super().__init__()
        self.note, self.active = note, False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """One call."""
        result = func(*args, **(kwargs or {}))
        if isinstance(result, (Tensor, tuple, list)) or getattr(func, "__name__", "") == "__setitem__":
            self.note(Operation(func, tuple(args), kwargs or {}, result))
        return result

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Within the block calls are noted."""
        with self._switched(True):
            yield

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within the block they are not: an implementation, which may compile itself, must not meet this mode."""
        with self._switched(False):
            yield

    @contextmanager
    def _switched(self, active: bool) -> Iterator[None]:
        was = self.active
        self._turn(active)
        try:
            yield
        finally:
            self._turn(was)

    def _turn(self, active: bool) -> None:
        if active and not self.active:
            self.__enter__()
        elif self.active and not active:
            self.__exit__(None, None, None)
        self.active = active


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _tensors(part)
    elif isinstance(value, slice):
        yield from _tensors([value.start, value.stop, value.step])


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_plain(part) for part in value)
    if isinstance(value, slice):
        return all(_is_plain(part) for part in (value.start, value.stop, value.step))
    return isinstance(value, (Tensor, *PLAIN))


def _written(value: Any, shown: Callable[[Tensor], str]) -> str:
    if isinstance(value, Tensor):
        return shown(value)
    if isinstance(value, torch.Size):
        return repr(tuple(value))
    if isinstance(value, list):
        return f"[{', '.join(_written(part, shown) for part in value)}]"
    if isinstance(value, tuple):
        return f"({', '.join(_written(part, shown) for part in value)}{',' * (len(value) == 1)})"
    if isinstance(value, torch.device):
        return repr(str(value))
    if isinstance(value, float) and value - value != 0:
        return f"float({str(value)!r})"
    return repr(value)


def _index(index: Any, shown: Callable[[Tensor], str]) -> str:
    if isinstance(index, tuple) and index:
        return ", ".join(_index(part, shown) for part in index)
    if isinstance(index, slice):
        ends = ["" if end is None else _written(end, shown) for end in (index.start, index.stop)]
        return ":".join(ends + [_written(index.step, shown)] * (index.step is not None))
    return "..." if index is ... else _written(index, shown)
