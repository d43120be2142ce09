"""Who wins a minimum, a maximum or a top-K over numbers of which some are masked."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.watching.fills import fills_behind
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call

LOWEST = ("min", "amin", "argmin")
HIGHEST = ("max", "amax", "argmax")
NEARLY, ROWS = 0.9, 2  # a share of so many rows at least
SUMMED = ("mean", "sum", "sub", "__sub__", "__rsub__", "rsub", "add", "__add__", "__radd__", "logsumexp", "exp", "relu",
          "softplus", "mul", "__mul__", "__rmul__", "neg", "__neg__", "square", "div", "__truediv__")  # fmt: skip


def won_by(reading: Reading, call: Call) -> float | None:
    """The constant that wins in nearly every row, though other numbers stand beside it there; None where none does."""
    if call.name not in (*LOWEST, *HIGHEST, "topk") or len(call.read) != 1 or not call.tensors:
        return None
    numbers, axis = call.read[0].detach(), _axis(call)
    if not numbers.is_floating_point() or axis is None or call.place is None:
        return None
    lowest = call.name in LOWEST
    if call.name == "topk":
        lowest = not call.argument(3, "largest", True)
    for fill in fills_behind(reading, call):
        masked = numbers == fill.value
        if not 0 < int(masked.sum()) <= fill.count:
            continue  # other numbers are the same: a cost that is 0 is no mask
        if call.name == "topk" and (fill.value or (call.tensors[0].shape[axis] > 1 and not _is_summed(reading, call))):
            continue  # kept in any case, as a class token is
        others = torch.isfinite(numbers) & ~masked
        both = masked.any(axis) & others.any(axis)
        won = (numbers.amin(axis) if lowest else numbers.amax(axis)) == fill.value
        if int(both.sum()) >= ROWS and float((won & both).sum()) >= NEARLY * float(both.sum()):
            return fill.value
    return None


def _axis(call: Call) -> int | None:
    """The one axis that it is taken over."""
    place = 2 if call.name == "topk" else 1
    given: Any = call.argument(place, "dim")
    if given is None and call.name == "topk":
        return -1
    if isinstance(given, (tuple, list)) and len(given) == 1:
        given = given[0]
    return given if type(given) is int and call.read[0].dim() > 1 else None


def _is_summed(reading: Reading, call: Call) -> bool:
    """Whether the values of a top-K go into a sum, as the hardest of all, and do not only choose."""
    values: Tensor = call.tensors[0]
    users = [later for later in reading.watched.calls[call.number + 1 :] if any(t is values for t in later.read)]
    return bool(users) and all(later.name in SUMMED for later in users)
