"""Positions in the user's own call: what a second choice returns counts among what the first one kept."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, passes_of
from sdtps_ref.properties.watching.causal import token_of
from sdtps_ref.properties.watching.forms import PRODUCTS, SUMS
from sdtps_ref.properties.watching.graph import SAME_NUMBERS
from sdtps_ref.properties.watching.indexing import PICKS, WRITES, Use, is_as_chosen, uses
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call

RANKS = ("topk", "sort", "argsort")
MORE = 2  # tokens besides, as of a class
TRIED = 4
CONSTANT = ("zeros_like", "ones_like", "full_like", "empty_like", "new_zeros", "new_ones", "new_full", "zeros", "ones",
            "rand_like", "randn_like")  # fmt: skip


@law(needs="call", domain=CALL)
def positions_are_of_the_whole(probe: Probe) -> None:
    """Indices of a second choice are brought back to positions among all tokens before they are used on those.

    Why: they count among the tokens that the first choice kept. On an axis of all tokens they name others: the first
    ones, whichever were kept.
    Breaks when: a second `topk` ranks K1 survivors, and its indices are scattered into a mask of N or pick from N.
    Remedy: `first.gather(1, second)` are positions among all tokens.
    """
    reading = passes_of(probe).reading()
    pairs = list(_in_a_row(reading))
    ordering = [
        call
        for call in reading.watched.calls
        if call.name in PICKS and any(_is_picked_by(reading, call, c) for c in reading.watched.calls if c.name in RANKS)
    ]
    if not pairs:
        raise Unsupported("no choice is made among what an earlier one kept")
    for first, second in pairs:
        whole, few = _ranked(first).shape[-1], _ranked(second).shape[-1]
        for call in reading.watched.calls[second.number + 1 :]:
            for use in uses(call):
                if use.size != whole or not is_as_chosen(reading, use.index, second):
                    continue
                if _is_of_all(reading, call, use, _ranked(first), ordering):
                    raise Violation(
                        f"indices that count among the {few} tokens which a first choice kept are used on all {whole}",
                        where=call.place,
                        effect="what is kept are other tokens, among the first ones, and not those that were chosen",
                        fix="index = first.gather(1, second), and use that",
                    )


def _in_a_row(reading: Reading) -> Iterator[tuple[Call, Call]]:
    """Two choices of which the second ranks what the first kept."""
    ranks = [call for call in reading.watched.calls if _is_ranking(call)]
    for second in ranks:
        for first in ranks:
            if not reading.graph.depends(second.number, first.number) or first is second:
                continue
            before, after = _ranked(first), _ranked(second)
            picks = [
                call
                for number in reading.graph.descendants(first.number)
                if (call := reading.watched.calls[number]).name in PICKS and _is_picked_by(reading, call, first)
            ]
            if after.shape[-1] >= before.shape[-1] or len(after) != len(before):
                continue
            if any(before.shape[-1] in call.tensors[0].shape[1:2] for call in picks):
                continue  # all were put in another order, of which the first ones are ranked
            if any(_is_filled_up(reading, call, picks, before) for call in reading.watched.calls[first.number :]):
                continue
            if any(_is_kept(reading, call, before, after, second) for call in picks):
                yield first, second


def _is_ranking(call: Call) -> bool:
    if call.name not in RANKS or not call.read:
        return False
    operand = _ranked(call)
    axis = call.argument(2 if call.name == "topk" else 1, "dim")
    return operand.is_floating_point() and operand.dim() == 2 and axis in (None, -1, 1) and operand.shape[1] > 1


def _ranked(call: Call) -> Tensor:
    return call.read[0]


def _is_picked_by(reading: Reading, call: Call, choice: Call) -> bool:
    made = [reading.watched.watch.number_of(use.index) for use in uses(call)]
    return any(n is not None and reading.graph.depends(n, choice.number) for n in made)


def _is_kept(reading: Reading, call: Call, before: Tensor, after: Tensor, second: Call) -> bool:
    """Whether a call picks the tokens that the second choice ranks, out of those that the first one ranked."""
    source, kept = call.args[0], call.tensors[0]
    if not reading.graph.depends(second.number, call.number) or not kept.is_floating_point():
        return False
    if source.dim() < 2 or kept.dim() < 2 or kept.shape[:2] != after.shape:
        return False
    if not 0 <= source.shape[1] - before.shape[1] <= MORE:
        return False
    if not after.requires_grad or not kept.requires_grad or kept.dim() != 3:
        return True
    places = range(0, after.shape[1], max(1, after.shape[1] // TRIED))
    seen = [place == token_of(after[0, place], kept, 0, 1) for place in places]
    return sum(seen) > len(seen) / 2


def _is_filled_up(reading: Reading, call: Call, picks: list[Call], before: Tensor) -> bool:
    """Whether what was picked is padded, or put beside others, to as many as there were."""
    written = call.name == "__setitem__" and not any(True for _ in uses(call))
    if not (written or call.name in ("pad", "cat", "concat")) or not call.tensors:
        return False
    shape = call.tensors[0].shape
    return before.shape[1] in shape[1:2] and any(reading.graph.depends(call.number, pick.number) for pick in picks)


def _is_of_all(reading: Reading, call: Call, use: Use, before: Tensor, picks: list[Call]) -> bool:
    """Whether an axis holds all tokens, in their order."""
    if use.source is None:
        return True
    batched = use.axis == 1 and len(use.source) in (1, len(before))
    table = use.axis == 0 and use.source.dim() == 2 and call.name not in WRITES and use.source.shape[1] != len(before)
    if not batched and not table:
        return False
    made = [n for n in call.inputs if any(t is use.source for t in reading.watched.calls[n].tensors)]
    return all(_is_in_order(reading, n, picks) for n in made)


def _is_in_order(reading: Reading, number: int, picks: list[Call]) -> bool:
    """Whether tokens that a call returns are in the order of all, also where what was kept was put back among them."""
    call = reading.watched.calls[number]
    if call.name in CONSTANT or not any(reading.graph.depends(number, pick.number) for pick in picks):
        return True
    if call.name in WRITES and call.inputs:
        target = [n for n in call.inputs if any(t is call.args[0] for t in reading.watched.calls[n].tensors)]
        return any(True for _ in uses(call)) and all(_is_in_order(reading, n, picks) for n in target)
    alone = call.name in (*SAME_NUMBERS, *SUMS, *PRODUCTS, "softmax", "sigmoid")
    return alone and all(_is_in_order(reading, n, picks) for n in call.inputs)
