"""The order of kept tokens in the user's own call: a causal attention reads them as they follow each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, passes_of
from sdtps_ref.properties.watching.causal import LEAST, causal_rows, tokens_of_rows
from sdtps_ref.properties.watching.choosing import RANKS
from sdtps_ref.properties.watching.forms import SUMS
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call
from sdtps_ref.properties.watching.sites import Site

MORE = 2  # tokens besides, as of a class
SAMPLES = 3
SOURCES = 3  # tensors of tokens, the latest first, by which the rows are told


@law(needs="call", domain=CALL)
def routed_tokens_keep_their_order(probe: Probe) -> None:
    """Kept tokens that go through a causal attention stand in the order of their positions.

    Why: a causal mask counts rows. In the order of the ranking an early token stands behind a late one with a higher
    score and reads it: in training it sees what comes after it, which is not there when the model is used.
    Breaks when: `topk` indices pick the tokens as they are, and `is_causal=True` or a triangular mask follows.
    Remedy: `index = score.topk(k).indices.sort(-1).values`, by which tokens, D and weights are picked.
    """
    reading = passes_of(probe).reading()
    causal = [call for call in reading.watched.calls if causal_rows(call) is not None]
    sites = [site for site in reading.sites if site.choice.name in RANKS and site.ranked.dim() == 2]
    pairs = [
        (site, call) for site in sites for call in causal if reading.graph.depends(call.number, site.choice.number)
    ]
    if not pairs:
        raise Unsupported("no kept tokens go through a causal attention")
    for site, call in pairs:
        order = None if _has_ranks(reading, site, call) else _out_of_order(reading, site, call)
        if order is not None:
            places = ", ".join(map(str, order[:5]))
            raise Violation(
                f"a causal attention gets the kept tokens in the order of their scores: tokens {places} stand in this "
                "order in its rows",
                where=site.place,
                effect="early tokens read later ones in training, which are not there when the model is used",
                fix="index = score.topk(k).indices.sort(-1).values",
            )


def _out_of_order(reading: Reading, site: Site, call: Call) -> list[int] | None:
    """The tokens in the rows of one sample, where those of all follow their scores and not their positions."""
    made = [reading.watched.watch.number_of(site.ranked), None if site.score_call is None else site.score_call.number]
    cut: dict[int, Callable[[Tensor], Tensor]] = {number: _detached for number in made if number is not None}
    watched = reading.again(cut)  # so that rows depend on tokens by what was picked alone
    again = watched.calls[call.number] if call.number < len(watched.calls) else None
    rows = None if again is None or again.name != call.name else causal_rows(again)
    ranked, tokens = site.by_sample(site.ranked.detach()), 0
    for number in reading.graph.ancestors(call.number) if rows is not None else ():
        if any(reading.graph.depends(number, other.choice.number) for other in reading.sites):
            continue
        for source in watched.calls[number].tensors:
            if not _is_of(source, ranked) or rows.shape[0] % len(source):  # type: ignore[union-attr]
                continue
            tokens += 1
            orders = [tokens_of_rows(rows, source, b) for b in range(min(SAMPLES, len(source)))]  # type: ignore[arg-type]
            if all(len(order) >= LEAST for order in orders):
                more = source.shape[1] - ranked.shape[1]
                told = any(
                    all(_follows(ranked[b], order, first) for b, order in enumerate(orders))
                    for first in range(more + 1)
                )
                return next((order for order in orders if not _is_monotonic(order)), None) if told else None
            if tokens >= SOURCES:
                return None
    return None


def _has_ranks(reading: Reading, site: Site, call: Call) -> bool:
    """Whether what is learned for each rank is added to the kept tokens: then the order of the ranking is meant."""
    kept = {t.shape[-1] for t in site.choice.tensors} | {causal_rows(call).shape[1]}  # type: ignore[union-attr]
    for number in reading.graph.descendants(site.choice.number):
        each = reading.watched.calls[number]
        if each.name in SUMS and number < call.number:
            tables = [t for t in each.read if isinstance(t, nn.Parameter) or _is_looked_up(reading, t)]
            if any(t.dim() >= 2 and t.shape[-2] in kept - {site.ranked.shape[-1]} for t in tables):
                return True
    return False


def _is_looked_up(reading: Reading, tensor: Tensor) -> bool:
    """Whether it comes from an embedding of nothing but numbers that count."""
    made = reading.watched.watch.number_of(tensor)
    call = None if made is None else reading.watched.calls[made]
    if call is None or call.name != "embedding" or call.args[0].dim() > 2:
        return False
    counted = call.args[0].detach().reshape(-1, call.args[0].shape[-1])
    return bool((counted.diff(dim=-1) == 1).all()) and not bool(counted[:, 0].any())


def _detached(result: Any) -> Any:
    return result.detach() if isinstance(result, Tensor) else result


def _is_of(source: Tensor, ranked: Tensor) -> bool:
    if source.dim() != 3 or not source.requires_grad or source.shape[0] != ranked.shape[0]:
        return False
    return 0 <= source.shape[1] - ranked.shape[1] <= MORE


def _follows(ranked: Tensor, order: list[int], first: int) -> bool:
    """Whether these tokens, counted from `first` on, stand in the order of their scores."""
    places = [place - first for place in order]
    if min(places) < 0 or max(places) >= len(ranked):
        return False
    scores = ranked[places]
    return bool((scores.diff() <= 0).all() or (scores.diff() >= 0).all())


def _is_monotonic(order: list[int]) -> bool:
    return order in (sorted(order), sorted(order, reverse=True))
