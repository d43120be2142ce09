"""What a call does, counted without a clock: operators, their bytes and FLOPs, and memory at its peak."""

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

# Asking for a value: on a GPU the host waits here until everything before is done.
SYNCHRONISES = ("aten::_local_scalar_dense", "aten::nonzero")


@dataclass(frozen=True)
class Operator:
    """One operator that did something. bytes: of the tensors it read and wrote; FLOPs: of matrix products."""

    name: str
    bytes: int
    flops: int


@dataclass(frozen=True)
class Counts:
    """What one call did. peak_bytes: the most that it held of its own at once, results included."""

    operators: tuple[Operator, ...]
    peak_bytes: int

    @property
    def bytes(self) -> int:
        """Read and written by all operators."""
        return sum(operator.bytes for operator in self.operators)

    @property
    def flops(self) -> int:
        """Of all operators."""
        return sum(operator.flops for operator in self.operators)

    @property
    def synchronisations(self) -> int:
        """How often the host would wait for a GPU."""
        return sum(operator.name in SYNCHRONISES for operator in self.operators)


def count(call: Callable[[], Any]) -> Counts:
    """Run `call` once and count. Exact, and the same every time, for what runs operator by operator.

    Not for compiled code: torch would run it eagerly under a dispatch mode, and remember to do so.
    """
    with _Counting() as counting:
        call()
    return Counts(tuple(counting.operators), counting.peak)


class _Counting(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.operators: list[Operator] = []
        self.held, self.peak = 0, 0
        self.known: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        before = {_address(tensor) for tensor in given}
        result = func(*args, **kwargs)
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        for tensor in made:
            if _address(tensor) not in before:
                self._hold(tensor.untyped_storage())
        views = made and not func._schema.is_mutable and all(_address(tensor) in before for tensor in made)
        empty = func.overloadpacket in (torch.ops.aten.empty, torch.ops.aten.empty_like, torch.ops.aten.empty_strided)
        if not views and not empty:
            counter = flop_registry.get(func.overloadpacket)
            flops = int(counter(*args, **kwargs, out_val=result)) if counter else 0
            moved = sum(map(_moved, given)) + sum(map(_moved, made))
            self.operators.append(Operator(func._schema.name, moved, flops))
        return result

    def _hold(self, storage: Any) -> None:
        size, key = storage.nbytes(), id(storage)

        def freed(_: Any) -> None:
            self.held -= size
            self.known.pop(key, None)

        self.known[key] = weakref.ref(storage, freed)
        self.held += size
        self.peak = max(self.peak, self.held)


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _moved(tensor: Tensor) -> int:
    """An expanded tensor is read from fewer bytes than it has entries."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())
