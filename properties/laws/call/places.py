"""What is added for each place, in the user's own call, goes with the tokens of these places."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, decided
from sdtps_ref.properties.watching.forms import PRODUCTS, SUMS
from sdtps_ref.properties.watching.graph import SAME_NUMBERS
from sdtps_ref.properties.watching.indexing import PICKS, uses
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call
from sdtps_ref.properties.watching.sites import Site

MORE = 2  # tokens besides, as of a class
EACH_FOR_ITSELF = (*SAME_NUMBERS, *SUMS, *PRODUCTS, "linear", "layer_norm", "dropout", "gelu", "relu", "silu", "tanh")
WAVES = ("sin", "cos")


@law(needs="call", domain=CALL)
def places_are_of_the_kept(probe: Probe) -> None:
    """What is there for each place is picked by the indices of the kept tokens, or added before they are picked.

    Why: the first K of N places belong to the first K tokens. Given to the K that are kept, a token's place says how
    many of the kept ones come before it, or how high it scored, and where it was is lost.
    Breaks when: `tokens + places[:, :K]` or `tokens + table(torch.arange(K))` comes after the selection.
    Remedy: add the places first, or `table(index)`, or `places.expand(B, -1, -1).gather(1, index)`.
    """
    reading, sites = decided(probe)
    for site in sites:
        for number in reading.graph.descendants(site.choice.number):
            call = reading.watched.calls[number]
            if (places := _cut_for(reading, call, site)) is not None:
                raise Violation(
                    f"the first {_count(site)} of {places} learned places are added to the kept tokens, "
                    "whichever they are",
                    where=call.place,
                    effect="where a token was is lost: its place says how many of the kept ones come before it",
                    fix="add the places before the selection, or pick them by the same indices",
                )
    picks = list(_ranked_picks(reading))
    for call in reading.watched.calls:
        parts = [t for t in call.read if t.is_floating_point()]
        if call.name not in SUMS or len(parts) != 2:
            continue
        for kept, added in (parts, parts[::-1]):
            pick = next((p for p in picks if _is_row_by_row(reading, kept, p)), None)
            if pick is None or not _counts_from_zero(reading, added, pick):
                continue
            raise Violation(
                f"the places 0 to {kept.shape[1] - 1} are given to {kept.shape[1]} kept tokens in the order of "
                f"their scores, which are at other places among the {pick.read[0].shape[1]}",
                where=call.place,
                effect="where a token was is lost: its place says how high it scored",
                fix="table(index), by the indices of the kept tokens, or add the places before the selection",
            )


def _cut_for(reading: Reading, call: Call, site: Site) -> int | None:
    """Of how many learned places, one for each token, the first are added to the kept ones; None where none are."""
    if call.name not in SUMS or not call.tensors:
        return None
    parts = {reading.watched.watch.number_of(t) for t in call.read} - {None}
    cut = next((reading.watched.calls[n] for n in parts if n is not None and _cuts(reading.watched.calls[n])), None)
    if cut is None:
        return None
    places, kept, tokens = cut.read[0].shape[-2], cut.tensors[0].shape[-2], site.ranked.shape[-1]
    whole = 0 <= places - tokens <= MORE and kept < places
    return places if whole and 0 <= kept - _count(site) <= MORE else None


def _cuts(call: Call) -> bool:
    """Whether it takes the first of the places that a parameter holds (1 N C or N C)."""
    source = call.read[0] if call.read else None
    if call.name not in ("__getitem__", "narrow") or not isinstance(source, nn.Parameter) or source.dim() not in (2, 3):
        return False
    return len(call.read) == 1 and call.tensors[0].dim() == source.dim()


def _count(site: Site) -> int:
    """How many tokens of the first sample are kept."""
    assert site.decision is not None
    return int((site.decision.detach()[0] > 0.5).sum())


def _ranked_picks(reading: Reading) -> list[Call]:
    """The calls that pick tokens, B N C to B K C, by indices that are not in the order of the tokens."""
    numbers = [n for site in reading.sites for n in (site.choice.number, *(call.number for call in site.further))]
    found = []
    for call in reading.watched.calls:
        if call.name not in PICKS or not call.tensors or not call.read or call.read[0].dim() != 3:
            continue
        source, picked = call.read[0], call.tensors[0]
        if picked.dim() != 3 or not 2 < picked.shape[1] < source.shape[1] or not source.is_floating_point():
            continue
        made = [(use.index, reading.watched.watch.number_of(use.index)) for use in uses(call)]
        if any(n is not None and any(reading.graph.depends(n, own) for own in numbers) for _, n in made) and not all(
            _ascends(index) for index, _ in made
        ):
            found.append(call)
    return found


def _ascends(index: Tensor) -> bool:
    rows = index.detach()
    rows = rows[..., 0] if rows.dim() == 3 else rows
    return rows.dtype == torch.bool or bool((rows.diff(dim=-1) > 0).all())


def _is_row_by_row(reading: Reading, tensor: Tensor, pick: Call) -> bool:
    """Whether each row is made of the row that was picked, by calls that bring no rows together."""
    if tensor.dim() != 3 or tensor.shape[:2] != pick.tensors[0].shape[:2]:
        return False
    number = reading.watched.watch.number_of(tensor)
    if number is None or not reading.graph.depends(number, pick.number):
        return False
    between = [n for n in reading.graph.ancestors(number) if n > pick.number and reading.graph.depends(n, pick.number)]
    way = [reading.watched.calls[n] for n in (*between, *([] if number == pick.number else [number]))]
    return all(call.name in EACH_FOR_ITSELF and call.tensors[0].dim() == 3 for call in way)


def _counts_from_zero(reading: Reading, added: Tensor, pick: Call) -> bool:
    """Whether these are the first rows of a table with a row for every token, or waves over as many numbers."""
    number = reading.watched.watch.number_of(added)
    if number is None or added.dim() not in (2, 3) or added.shape[-2] != pick.tensors[0].shape[1]:
        return False
    if (added.dim() == 3 and len(added) != 1) or reading.graph.depends(number, pick.number):
        return False
    rows = added.detach().reshape(added.shape[-2:])
    behind = [reading.watched.calls[n] for n in (*reading.graph.ancestors(number), number)]
    tables = [t for call in behind for t in call.outside if _is_table(t, rows, pick.read[0].shape[1])]
    if tables:
        held = {id(table) for table in tables}
        before = reading.watched.calls[: pick.number]  # where they were added to all tokens, each has its own already
        return not any(
            id(t) in held and call.tensors and call.tensors[0].shape[-2:-1] == (pick.read[0].shape[1],)
            for call in before
            for t in call.outside
        )
    made = {call.name for call in behind}
    return "arange" in made and bool(made & set(WAVES))


def _is_table(tensor: Tensor, rows: Tensor, places: int) -> bool:
    """Whether a table has a row for every place and more, of which these are the first."""
    if (
        not tensor.is_floating_point()
        or tensor.dim() < 2
        or tensor.shape[-2] < places
        or tensor.shape[-1] != rows.shape[1]
    ):
        return False
    first = tensor.detach().reshape(-1, *tensor.shape[-2:])
    return len(first) == 1 and torch.equal(first[0, : len(rows)], rows)
