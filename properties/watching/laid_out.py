"""What the axes of a tensor were put together of, and what becomes of that where they are moved, cut or reshaped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from torch import Tensor

from sdtps_ref.properties.watching.record import Call


@dataclass(frozen=True)
class Laid:
    """What an axis holds: the sizes of the axes that it was put together of, the slowest first.

    before, after: how many other entries stand around them, as a class token does. asked: the call that took these
    places for a map with its sides changed over; of its two axes each knows.
    """

    sizes: tuple[int, ...]
    before: int = 0
    after: int = 0
    asked: Call | None = None


Axes = tuple[Laid | None, ...]


def groups(before: Sequence[int], after: Sequence[int]) -> Iterator[tuple[list[int], list[int]]]:
    """Which axes become which, in order, axes of one entry left out: the shortest runs of both that hold as much."""
    one = [i for i, size in enumerate(before) if size != 1]
    other = [j for j, size in enumerate(after) if size != 1]
    while one and other:
        i = j = 1
        while (left := prod(before[a] for a in one[:i])) != (right := prod(after[b] for b in other[:j])):
            i, j = (i + 1, j) if left < right else (i, j + 1)
            if i > len(one) or j > len(other):
                return
        yield one[:i], other[:j]
        one, other = one[i:], other[j:]


def split(sizes: list[int], into: list[int]) -> list[tuple[int, ...]] | None:
    """Which of the sizes, in order, each of the new axes is put together of; None where they do not fit."""
    found, left = [], [size for size in sizes if size != 1]
    for size in into:
        count = next((n for n in range(1, len(left) + 1) if prod(left[:n]) == size), None)
        if count is None:
            return None
        found.append(tuple(left[:count]))
        left = left[count:]
    return None if left else found


def moved(call: Call, axes: Axes) -> Axes | None:
    """The axes after a transpose or a permute; None where it cannot be told."""
    dims = list(call.args[1:]) + [v for k, v in call.kwargs.items() if k not in ("input", "self")]
    if len(dims) == 1 and isinstance(dims[0], (list, tuple)):
        dims = list(dims[0])
    if not all(type(d) is int for d in dims):
        return None
    if call.name == "permute":
        return tuple(axes[d] for d in dims) if len(dims) == len(axes) else None
    if len(dims) != 2:
        return None
    found = list(axes)
    found[dims[0]], found[dims[1]] = found[dims[1]], found[dims[0]]
    return tuple(found)


def read_off(given: Tensor, result: Tensor, axes: Axes) -> Axes | None:
    """The axes of an attribute such as `x.mT` or `x.data`; None where it is another."""
    if given.dim() != result.dim() or given.dim() < 2 or given.data_ptr() != result.data_ptr():
        return None
    shapes = list(zip(given.shape, given.stride(), strict=True))
    now = list(zip(result.shape, result.stride(), strict=True))
    if now == shapes:
        return axes
    return (*axes[:-2], axes[-1], axes[-2]) if now == [*shapes[:-2], shapes[-1], shapes[-2]] else None


def cut(call: Call, axes: Axes) -> Axes | None:
    """Of a result of whole slices, or of those that cut off what stands around."""
    index = call.args[1] if isinstance(call.args[1], tuple) else (call.args[1],)
    if not all(each is None or each is ... or isinstance(each, (int, slice)) for each in index):
        return None
    rest = len(axes) - sum(each is not None and each is not ... for each in index)
    if ... not in index:
        index = (*index, ...)
    found: list[Laid | None] = []
    left = list(axes)
    for each in index:
        if each is None:
            found.append(None)
        elif each is ...:
            found += [left.pop(0) for _ in range(rest)]
        else:
            laid = left.pop(0)
            if isinstance(each, slice):
                found.append(_sliced(laid, each))
    return tuple(found)


def _sliced(laid: Laid | None, by: slice) -> Laid | None:
    if laid is None or any(v is not None and type(v) is not int for v in (by.start, by.stop, by.step)):
        return None
    size = laid.before + prod(laid.sizes) + laid.after
    start, stop, step = by.indices(size)
    inside = step == 1 and start <= laid.before and stop >= size - laid.after
    return Laid(laid.sizes, laid.before - start, laid.after - (size - stop), laid.asked) if inside else None


def reduced(call: Call, axes: Axes, result: Tensor) -> Axes | None:
    """The axes that a sum, a mean and the like leave; None where it cannot be told."""
    dim = call.kwargs.get("dim", next((a for a in call.args[1:] if type(a) in (int, tuple, list)), None))
    dim = 1 if dim is None and call.name == "cosine_similarity" else dim
    if dim is None or (call.name == "norm" and type(call.kwargs.get("dim")) is not int):
        return None
    gone = {d % len(axes) for d in ((dim,) if isinstance(dim, int) else dim)}
    if len(axes) == result.dim():
        return tuple(None if i in gone else laid for i, laid in enumerate(axes))
    return tuple(laid for i, laid in enumerate(axes) if i not in gone)
