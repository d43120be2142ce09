"""Axes in the user's own call: they are moved where they change places, and not read in another shape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations
from math import prod

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, learned
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call


@law(needs="call", domain=CALL)
def axes_are_moved(probe: Probe) -> None:
    """Where axes change places, as from B C H W to tokens B HW C, they are moved, and not read in another shape.

    Why: `reshape` keeps the numbers in their order. What it calls a token is then C numbers in a row of one channel's
    map, of C neighbouring places: no token is at any place, and no channel is a channel.
    Breaks when: `x.reshape(B, H * W, C)` or `weight.view(B, M, K)` stands for a transpose, heads are split by
    `view(B, H, N, d)` or put together again by `reshape(B, N, H * d)`.
    Remedy: `x.flatten(2).transpose(1, 2)`; `view(B, N, H, d).transpose(1, 2)`.
    """
    reading, _ = learned(probe)
    for call in reading.watched.calls:
        if call.name not in ("reshape", "view") or not call.tensors or not call.read or not call.read[0].requires_grad:
            continue
        before, after = tuple(call.read[0].shape), tuple(call.tensors[0].shape)
        if _is_a_shift(reading, call):
            continue
        if any(_is_turned(one, other) for one, other in _parts(before, after)):
            raise Violation(
                f"{before} is read as {after} without moving an axis: its rows mix what belongs to several",
                where=call.place,
                effect="what is called a token, a slot or a channel afterwards is none",
                fix="move the axes first: x.flatten(2).transpose(1, 2), in place of x.reshape(B, H * W, C)",
            )


def _is_a_shift(reading: Reading, call: Call) -> bool:
    """Whether rows that were padded by one number each are read as one longer, which shifts each by one further than
    the row above: relative positions are read off a table of offsets so."""
    number = reading.watched.watch.number_of(call.read[0])
    padded = None if number is None else reading.watched.calls[number]
    if padded is None or padded.name not in ("cat", "concat", "pad") or not padded.read:
        return False
    rows, length = call.read[0].shape[-2:]
    whole = [t for t in padded.read if t.dim() == call.read[0].dim() and t.shape[-1] == length - 1]
    return bool(whole) and tuple(call.tensors[0].shape[-2:]) == (length, rows)


def _parts(before: Sequence[int], after: Sequence[int]) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Which axes become which, in order: the shortest runs of both that hold as many numbers.

    A run with the first axis counts where it is of three axes: two are what a batch is cut into windows by.
    """
    before, after = ([size for size in shape if size != 1] for shape in (before, after))
    start = last = 0
    i = j = 0
    while i < len(before) and j < len(after):
        i, j = i + 1, j + 1
        while prod(before[start:i]) != prod(after[last:j]):
            if prod(before[start:i]) < prod(after[last:j]):
                i += 1
            else:
                j += 1
        one, other = tuple(before[start:i]), tuple(after[last:j])
        if start > 0 or max(len(one), len(other)) > 2:
            yield one, other
        start, last = i, j


def _is_turned(before: tuple[int, ...], after: tuple[int, ...]) -> bool:
    """Whether one is the other with its axes in another order, some of them taken together."""
    if len(before) < 2 or len(after) < 2:
        return False
    more, fewer = (before, after) if len(before) >= len(after) else (after, before)
    return any(_merges(order, fewer) for order in set(permutations(more)) if order != more)


def _merges(sizes: tuple[int, ...], into: tuple[int, ...]) -> bool:
    """Whether neighbouring sizes, multiplied, give `into`."""
    if not into:
        return not sizes
    return any(
        prod(sizes[:count]) == into[0] and _merges(sizes[count:], into[1:]) for count in range(1, len(sizes) + 1)
    )
