"""Which indices a call uses on which axis, and whether they are still those that a choice returned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from sdtps_ref.properties.watching.graph import SAME_NUMBERS
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call

BY_AXIS = ("gather", "scatter", "scatter_", "scatter_add", "scatter_add_", "index_select", "index_fill", "index_fill_",
           "index_add", "index_add_", "index_copy", "index_copy_", "scatter_reduce", "scatter_reduce_")  # fmt: skip
PICKS = ("gather", "take_along_dim", "__getitem__")
WRITES = (
    *(name for name in BY_AXIS if name not in ("gather", "index_select")),
    "__setitem__",
    "index_put",
    "index_put_",
)
HANDS_ON = {*SAME_NUMBERS, "sort", "long", "int", "narrow", "repeat", "select", "broadcast_to", "cpu", "cuda", "chunk",
            "__getitem__", "gather", "take_along_dim", "split", "unbind"}  # fmt: skip


@dataclass(frozen=True)
class Use:
    """An index tensor on an axis of `source`, which holds `size` entries. source: None of a one-hot."""

    index: Tensor
    source: Tensor | None
    axis: int
    size: int


def uses(call: Call) -> Iterator[Use]:
    """The indices that a call uses."""
    if call.name in BY_AXIS or call.name == "take_along_dim":
        last = call.name == "take_along_dim"
        source = call.argument(0, "input")
        axis, index = (
            call.argument(2 if last else 1, "dim"),
            call.argument(1 if last else 2, "indices" if last else "index"),
        )
        if isinstance(source, Tensor) and isinstance(index, Tensor) and isinstance(axis, int) and source.dim():
            yield Use(index, source, axis % source.dim(), source.shape[axis])
    elif call.name == "embedding":
        index, table = call.argument(0, "input"), call.argument(1, "weight")
        if isinstance(index, Tensor) and isinstance(table, Tensor):
            yield Use(index, table, 0, table.shape[0])
    elif call.name == "one_hot":
        index, size = call.argument(0, "tensor"), call.argument(1, "num_classes")
        if isinstance(index, Tensor) and isinstance(size, int):
            yield Use(index, None, -1, size)
    elif call.name in ("__getitem__", "__setitem__", "index_put", "index_put_"):
        source, given = call.args[0], call.args[1]
        parts = given if isinstance(given, tuple) else (given,)
        if not isinstance(source, Tensor) or any(part is None or part is Ellipsis for part in parts):
            return
        for axis, part in enumerate(parts):
            if isinstance(part, Tensor) and axis < source.dim() and part.dim() and not _is_mask(part):
                yield Use(part, source, axis, source.shape[axis])


def is_as_chosen(reading: Reading, index: Tensor, choice: Call) -> bool:
    """Whether these are numbers that a choice returned, picked and put in another order at most."""
    if index.is_floating_point():
        return False
    number = reading.watched.watch.number_of(index)
    while number is not None and number != choice.number:
        call = reading.watched.calls[number]
        if call.name not in HANDS_ON or not call.read or call.read[0].is_floating_point():
            return False
        if call.name == "sort" and index is not call.tensors[0]:
            return False  # in which order they were, and not they themselves
        index = call.read[0]
        number = reading.watched.watch.number_of(index)
    return number is not None


def _is_mask(part: Tensor) -> bool:
    return str(part.dtype) == "torch.bool"
