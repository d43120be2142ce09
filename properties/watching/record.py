"""Every torch call of one forward pass: what it read, what it returned, and the user's line that it stands on."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.watching.storage import storage_of

OURS = (str(Path(__file__).resolve().parents[1]), str(Path(__file__).parents[1]))  # by link and by folder
ENTRY = str(Path(__file__).with_name("subject.py"))  # above it stands who watches, not what is watched
INSTALLED = tuple({sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib")})
# Files of this project that are written as strangers write, and are reported as theirs are.
LIKE_THEIRS = (f"selftest{os.sep}strangers", f"trainability{os.sep}digits_model")
DEPTH = 12  # of the user's lines that are kept of each call's stack
IN_PLACE = {"__setitem__", "__iadd__", "__isub__", "__imul__", "__itruediv__", "__iand__", "__ior__"}


@dataclass(eq=False)
class Call:
    """One torch call.

    stack: the user's lines that led to it, the innermost first, each with an id of the running function. inputs:
    numbers of the calls whose results it reads. outside: tensors that no call returned.
    """

    number: int
    name: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    result: Any
    stack: tuple[tuple[int, SourceLine], ...]
    inputs: tuple[int, ...]
    outside: tuple[Tensor, ...]
    grad_enabled: bool

    @property
    def place(self) -> SourceLine | None:
        """The user's line that it stands on."""
        return self.stack[0][1] if self.stack else None

    def argument(self, place: int, name: str, default: Any = None) -> Any:
        """What it was given, by name or place."""
        return self.kwargs.get(name, self.args[place] if len(self.args) > place else default)

    def place_beside(self, *others: Call) -> SourceLine | None:
        """Its line in a function that made one of the other calls too; its own line where there is none."""
        held = {frame for other in others for frame, _ in other.stack}
        return next((place for frame, place in self.stack if frame in held), self.place)

    def __repr__(self) -> str:
        return f"Call({self.number}, {self.name!r}, {self.place})"

    @property
    def tensors(self) -> list[Tensor]:
        """The tensors it returned or, in place, changed."""
        if self.name == "__setitem__":
            return [self.args[0]]
        return tensors_in(self.result)

    @property
    def read(self) -> list[Tensor]:
        """The tensors it was given."""
        return tensors_in((self.args, dict(self.kwargs)))


def tensors_in(tree: Any) -> list[Tensor]:
    """All tensors in nested lists, tuples and dicts, and in the attributes of plain objects at the top."""
    found = [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
    if not found and hasattr(tree, "__dict__") and not isinstance(tree, (Tensor, torch.nn.Module, type)):
        found = [leaf for leaf in tree_leaves(dict(vars(tree))) if isinstance(leaf, Tensor)]
    return found


class Watch(TorchFunctionMode):
    """Records every torch call within. answers: by call number, what it returns in place of its own result."""

    def __init__(self, answers: Mapping[int, Callable[[Tensor], Tensor]] | None = None):
        super().__init__()
        self.answers = answers or {}
        self.calls: list[Call] = []
        self._producer: dict[int, int] = {}  # by id of a tensor, which is held by its call
        self._writer: dict[int, int] = {}  # by storage, the last call that wrote into it
        self._owner: dict[int, int] = {}  # by storage, the first call that returned a tensor in it

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """One call."""
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "?")
        before = tensors_in((args, kwargs))
        inputs = sorted({number for tensor in before for number in self._made_by(tensor)})
        outside = tuple(tensor for tensor in before if id(tensor) not in self._producer)
        result = func(*args, **kwargs)
        number = len(self.calls)
        if number in self.answers:
            result = self.answers[number](result)
        call = Call(number, name, args, kwargs, result, _user_lines(), tuple(inputs), outside, torch.is_grad_enabled())
        self.calls.append(call)
        for tensor in call.tensors:
            self._producer[id(tensor)] = number
            if key := storage_of(tensor):
                self._owner.setdefault(key, number)
        if name in IN_PLACE or (name.endswith("_") and not name.startswith("__")) or "out" in kwargs:
            for tensor in call.tensors[:1]:
                if key := storage_of(tensor):
                    self._writer[key] = number
        return result

    def number_of(self, tensor: Tensor) -> int | None:
        """The call that returned this very tensor."""
        return self._producer.get(id(tensor))

    def _made_by(self, tensor: Tensor) -> list[int]:
        made = [self._producer[id(tensor)]] if id(tensor) in self._producer else []
        key = storage_of(tensor)
        if not made and not tensor.requires_grad and key in self._owner:
            made = [self._owner[key]]  # a result under another name that no call gave it, as of `Variable(result)`
        return [*made, self._writer[key]] if key in self._writer else made


def _user_lines() -> tuple[tuple[int, SourceLine], ...]:
    """The lines on the stack that are neither torch's, nor another installed package's, nor this project's."""
    lines: list[tuple[int, SourceLine]] = []
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and len(lines) < DEPTH:
        name = frame.f_code.co_filename
        if name == ENTRY:
            break
        if _is_theirs(name):
            lines.append((hash((id(frame), frame.f_code)), SourceLine(name, frame.f_lineno)))
        frame = frame.f_back
    return tuple(lines)


@lru_cache(maxsize=1000)
def _is_theirs(name: str) -> bool:
    """Whether a file is the user's: neither installed, nor of this project, save LIKE_THEIRS."""
    if any(folder in name for folder in LIKE_THEIRS):
        return True
    return not name.startswith((*OURS, "<", *INSTALLED))


@dataclass(frozen=True)
class Watched:
    """One watched forward pass: its calls in order and what it returned."""

    watch: Watch
    output: Any

    @property
    def calls(self) -> list[Call]:
        """The torch calls."""
        return self.watch.calls

    @property
    def outputs(self) -> list[Tensor]:
        """Floating tensors that were returned."""
        return [tensor for tensor in tensors_in(self.output) if tensor.is_floating_point()]


def watch(
    call: Callable[[], Any], seed: int = 0, answers: Mapping[int, Callable[[Tensor], Tensor]] | None = None
) -> Watched:
    """Watch one forward pass, the global generators seeded first."""
    torch.manual_seed(seed)
    with Watch(answers) as mode:
        output = call()
    return Watched(mode, output)
