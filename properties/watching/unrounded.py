"""What a module keeps from call to call, worked out in float64 beside its own dtype."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.watching.record import IN_PLACE, _user_lines, tensors_in

CASTS = ("to", "type", "type_as", "float", "double", "half", "bfloat16", "long", "int", "short", "char", "byte")


def writes(name: str, kwargs: Any) -> bool:
    """Whether a call of that name changes the first tensor it is given."""
    return name in IN_PLACE or (name.endswith("_") and not name.startswith("__")) or "out" in kwargs


class Unrounded(TorchFunctionMode):
    """Repeats what is done with a tensor in float64, where no dtype rounds it, from a value that is larger by `more`.

    wide: by id of a tensor, its float64 form; of what could not be repeated, none. lines: by id, where it was written.
    """

    def __init__(self, tensor: Tensor, more: Tensor):
        super().__init__()
        self.wide: dict[int, Tensor] = {}
        self.lines: dict[int, SourceLine] = {}
        self._held: list[Tensor] = []
        with torch._C.DisableTorchFunction(), torch.no_grad():
            self._keep(tensor, tensor.detach().to(torch.float64, copy=True) + more)

    def _keep(self, tensor: Tensor, wide: Tensor) -> None:
        self.wide[id(tensor)] = wide
        self._held.append(tensor)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """One call, and the same in float64 where it is given one of the tensors, or what was made of one."""
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "?")
        given = tensors_in((args, kwargs))
        known = [t for t in given if id(t) in self.wide]
        if not known:
            return func(*args, **kwargs)
        with torch._C.DisableTorchFunction(), torch.no_grad():
            wide_args, wide_kwargs = tree_map(self._widened, (args, kwargs))
        changed = given[0] if writes(name, kwargs) else None
        place = next((line for _, line in _user_lines()), None)
        result = func(*args, **kwargs)
        with torch._C.DisableTorchFunction(), torch.no_grad():
            self._follow(func, name, wide_args, wide_kwargs, known, changed, result)
        for tensor in (*tensors_in(result), *([changed] if changed is not None else [])):
            if place is not None:
                self.lines[id(tensor)] = place
        return result

    def _follow(
        self, func: Any, name: str, args: Any, kwargs: Any, known: list[Tensor], changed: Tensor | None, result: Any
    ) -> None:
        if isinstance(result, Tensor) and (result.requires_grad or result.dtype == torch.bool):
            return
        if name in CASTS and isinstance(result, Tensor) and len(known) == 1 and known[0].shape == result.shape:
            wide = self.wide[id(known[0])]
            self._keep(result, wide if result is known[0] else wide.clone())
            return
        try:
            made = func(*args, **{k: v for k, v in kwargs.items() if k != "dtype"})
        except Exception:  # of an index, which float64 is none
            for tensor in known if changed is not None else ():
                self.wide.pop(id(tensor), None)
            return
        if changed is not None and id(changed) not in self.wide and tensors_in(args):
            self._keep(changed, tensors_in(args)[0])
        if isinstance(result, Tensor) and isinstance(made, Tensor) and made.shape == result.shape:
            own = self.wide.get(id(result)) if result is changed else None
            self._keep(result, made.double() if own is None else own)

    def _widened(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        if id(value) in self.wide:
            return self.wide[id(value)]
        value = value.detach()
        return value.double() if value.is_floating_point() else value
