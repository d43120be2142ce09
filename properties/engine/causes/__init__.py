"""From what failed to what is wrong: the explanation that accounts for most of it comes first.

Findings in the user's own call are causes already: each has its line, its effect and its remedy. What failed through
the contract is explained by hypotheses, from readings that `examination` takes where the implementation is; what no
hypothesis accounts for stands for itself, in the words of its law.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from sdtps_ref.properties.certificates.cause import Cause
from sdtps_ref.properties.certificates.certificate import LawResult
from sdtps_ref.properties.engine.causes.by_law import RANKS, cause_of, rank, unfinished
from sdtps_ref.properties.engine.causes.hypothesis import STEEP, Readings
from sdtps_ref.properties.engine.causes.inference import Explanation, explanations
from sdtps_ref.properties.engine.causes.lines.where import line_of
from sdtps_ref.properties.kit.source_line import SourceLine

CALL = "call."


def failing_of(results: Iterable[LawResult]) -> dict[str, LawResult]:
    """What failed or warned, by law."""
    return {result.id: result for result in results if result.status in ("failed", "error")}


def causes_of(results: Iterable[LawResult], readings: Mapping[str, Any] | None = None) -> tuple[Cause, ...]:
    """The causes behind the failures and warnings, the one that matters most to training first.

    readings: what `examined` read of the implementation; without any, every failure stands for itself.
    """
    failing = failing_of(results)
    read = readings or {}
    found: list[tuple[tuple[bool, ...], int, Cause]] = []
    explained: set[str] = set()

    def add(cause: Cause, of_rank: int, root: bool = False) -> None:
        matters = of_rank >= STEEP or any(failing[law_id].refuses for law_id in cause.explains)
        judged = any(not unfinished(failing[law_id]) for law_id in cause.explains)
        if cause.where is None:
            cause = replace(cause, where=line_of(cause.kind, read))
        found.append(((matters, judged, root, bool(cause.training)), of_rank, cause))
        explained.update(cause.explains)

    order = [law_id for law_id in RANKS if law_id in failing]
    for law_id in [law_id for law_id in (*order, *failing) if law_id.startswith(CALL)]:
        if law_id not in explained:
            add(cause_of(failing[law_id], failing), rank(law_id))
    left = {law_id: _message(result) for law_id, result in failing.items() if law_id not in explained}
    seen = {law_id: said for law_id, said in left.items() if not unfinished(failing[law_id])}
    refusing = [law_id for law_id in seen if failing[law_id].refuses]
    for explanation in explanations(Readings(read, seen), refusing=refusing) if read else ():
        add(_cause(explanation, failing), explanation.hypothesis.rank, explanation.hypothesis.root)
    for law_id in left:
        if law_id not in explained:
            add(cause_of(failing[law_id], failing), rank(law_id))
    # What refuses, or spoils the training, before what does neither; what was judged before what came to no end; a
    # root before what it spoils; then by what it does to training.
    found.sort(key=lambda entry: (*entry[0], entry[1]), reverse=True)
    return tuple(cause for *_, cause in found)


def _message(result: LawResult) -> str:
    return result.failure.message if result.failure else result.reason


def _cause(explanation: Explanation, failing: Mapping[str, LawResult]) -> Cause:
    hypothesis, other = explanation.hypothesis, explanation.alternative
    failures = [failing[law_id].failure for law_id in explanation.laws]
    places = [failure.where for failure in failures if failure]
    return Cause(
        kind=hypothesis.kind,
        sentence=explanation.said(hypothesis.sentence),
        explains=explanation.laws,
        effect=hypothesis.effect,
        fix=hypothesis.fix,
        training=explanation.said(hypothesis.training),
        alternative="" if other is None else other.sentence.format(**(explanation.alternative_words or {})),
        alternative_kind="" if other is None else other.kind,
        where=next((place for place in places if place), None) or _place(explanation),
    )


def _place(explanation: Explanation) -> SourceLine | None:
    place = explanation.words.get("place")
    return SourceLine(*place) if place else None


__all__ = ["causes_of", "failing_of"]
