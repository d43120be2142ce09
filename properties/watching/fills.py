"""Constants that stand for what is masked: where a watched pass writes them, and what they are when they are read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.watching.forms import PRODUCTS
from sdtps_ref.properties.watching.graph import SAME_NUMBERS
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call

MOVES = (*SAME_NUMBERS, "mT", "t", "swapaxes", "movedim")
COMPARES = ("gt", "ge", "lt", "le", "__gt__", "__ge__", "__lt__", "__le__", "greater", "less", "sign", "relu")
DIVIDES = ("div", "__truediv__", "true_divide")
NEGATES = ("neg", "__neg__", "negative")


@dataclass(frozen=True)
class Fill:
    """A constant that a call writes over masked numbers.

    call: which one. value: the constant, as it is where it is read. count: of the entries that it is written to.
    """

    call: Call
    value: float
    count: int


def fills_behind(reading: Reading, reader: Call) -> Iterator[Fill]:
    """The constants in the first tensor that a call reads, the last one that was written first."""
    tensor, calls = reader.read[0], reading.watched.calls
    if (reading.watched.watch.number_of(tensor) or 0) > reader.number:
        return  # it was written over since
    made = _before(reading, reader, tensor)
    for number in reader.inputs:  # by another name of the same storage, as of `x.diagonal().fill_(0)`
        if number != made and calls[number].name in ("fill_", "zero_") and calls[number].tensors:
            value = 0.0 if calls[number].name == "zero_" else _number(calls[number].args[1:])
            if value is not None and calls[number].tensors[0].numel() < tensor.numel():
                yield Fill(calls[number], value, calls[number].tensors[0].numel())
    scale = 1.0
    while made is not None:
        call = calls[made]
        written = _written(reading, call)
        if written is not None:
            value, mask, source = written
            yield Fill(call, value * scale if value else 0.0, mask)
            made = _before(reading, call, source)
            continue
        factor = _factor(call)
        if factor is None:
            return
        scale *= factor
        made = _before(reading, call, call.read[0])


def _before(reading: Reading, call: Call, source: Tensor) -> int | None:
    """The call that made what a call started from; for one that writes in place, the one that made it before."""
    number = reading.watched.watch.number_of(source)
    if number is not None and number < call.number:
        return number
    return max((n for n in call.inputs if any(t is source for t in reading.watched.calls[n].tensors)), default=None)


def _factor(call: Call) -> float | None:
    """What a call multiplies its one operand by; None where it does something else."""
    if not call.read or not call.tensors:
        return None
    if call.name in MOVES or (call.name == "__get__" and len(call.read) == 1):
        return 1.0
    if call.name in NEGATES:
        return -1.0
    if call.name not in (*PRODUCTS, *DIVIDES) or call.args[0] is not call.read[0]:
        return None
    number = _number(call.args[1:])
    if number is None or number == 0 or not math.isfinite(number):
        return None
    return number if call.name in PRODUCTS else 1 / number


def _written(reading: Reading, call: Call) -> tuple[float, int, Tensor] | None:
    """The constant that a call writes, to how many entries, and what it writes it over."""
    if not call.tensors or not call.tensors[0].is_floating_point():
        return None
    size = call.tensors[0].shape
    if call.name in ("masked_fill", "masked_fill_"):
        value = _number([*call.args[2:], *call.kwargs.values()])
        mask = next((t for t in call.read if t.dtype == torch.bool), None)
        return _over(reading, value, mask, call.read[0], size)
    if call.name == "fill_diagonal_":
        value = _number(call.args[1:])
        return None if value is None else (value, min(size), call.args[0])
    if call.name == "__setitem__":
        value, mask = _number(call.args[2:]), torch.zeros(size, dtype=torch.bool)
        try:
            mask[_on_cpu(call.args[1])] = True
        except (RuntimeError, IndexError, TypeError):
            return None
        return None if value is None else (value, int(mask.sum()), call.args[0])
    if call.name == "where" and len(call.args) == 3:
        return _of_where(reading, call, size)
    if call.name in PRODUCTS and len(call.read) == 2:
        return _of_product(reading, call, size)
    return None


def _of_where(reading: Reading, call: Call, size: torch.Size) -> tuple[float, int, Tensor] | None:
    condition, taken, other = call.args
    if isinstance(condition, Tensor) and condition.dtype == torch.bool:
        for value, source, mask in ((taken, other, condition), (other, taken, ~condition)):
            number = _number([value])
            if number is not None and isinstance(source, Tensor) and source.numel() > 1:
                if _is_of_itself(reading, condition, source):
                    return None
                return _over(reading, number, mask, source, size, same=condition)
    return None


def _of_product(reading: Reading, call: Call, size: torch.Size) -> tuple[float, int, Tensor] | None:
    for mask, source in (call.read, call.read[::-1]):
        if mask.requires_grad or not source.is_floating_point() or source.numel() < 2:
            continue
        shut, open_ = mask == 0, mask == 1
        if bool((shut | open_).all()) and bool(shut.any()) and bool(open_.any()):
            return _over(reading, 0.0, shut, source, size, same=mask)
    return None


def _over(
    reading: Reading, value: float | None, mask: Tensor | None, source: Tensor, size: torch.Size, same: Any = None
) -> tuple[float, int, Tensor] | None:
    if value is None or mask is None or _is_of_itself(reading, mask if same is None else same, source):
        return None
    try:
        count = int(mask.expand(size).sum())
    except RuntimeError:
        return None
    return value, count, source


def _is_of_itself(reading: Reading, mask: Tensor, source: Tensor) -> bool:
    """Whether the mask is a threshold of the very numbers that it masks, as of a relu."""
    number, made = reading.watched.watch.number_of(mask), reading.watched.watch.number_of(source)
    if number is None or made is None:
        return False
    compared = reading.watched.calls[reading.graph.origin(number)]
    own = reading.graph.origin(made)
    return compared.name in COMPARES and any(reading.graph.origin(n) == own for n in compared.inputs)


def _number(given: Any) -> float | None:
    """The one number among these arguments; a tensor stands for one where it holds the same everywhere."""
    for value in given:
        if type(value) in (int, float):
            return float(value)
        if isinstance(value, Tensor) and value.is_floating_point() and not value.requires_grad and value.numel():
            first = value.detach().flatten()[0]
            return float(first) if bool((value.detach() == first).all()) else None
    return None


def _on_cpu(index: Any) -> Any:
    if isinstance(index, tuple):
        return tuple(_on_cpu(part) for part in index)
    return index.detach().cpu() if isinstance(index, Tensor) else index
