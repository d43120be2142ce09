"""Which hypotheses account for what failed: the fewest that do, the one that accounts for most first."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sdtps_ref.properties.engine.causes.hypotheses import ALL
from sdtps_ref.properties.engine.causes.hypothesis import LESS_EXPLORED, Hypothesis, Readings

SURE = 3  # how specific a hypothesis is that is told beside another one in whose wake the failure may lie


@dataclass(frozen=True)
class Explanation:
    """A hypothesis that the readings speak for. laws: the failed laws it accounts for. words: what fills its braces.

    alternative: another hypothesis that accounts for the same laws and is as specific.
    """

    hypothesis: Hypothesis
    laws: tuple[str, ...]
    words: Mapping[str, Any]
    alternative: Hypothesis | None = None
    alternative_words: Mapping[str, Any] | None = None

    def said(self, text: str) -> str:
        """`text` with its braces filled."""
        return text.format(**self.words) if self.words else text


def explanations(
    readings: Readings, hypotheses: Iterable[Hypothesis] = ALL, refusing: Collection[str] = ()
) -> list[Explanation]:
    """The hypotheses that hold and account for a failure that no earlier one accounts for.

    First a root, then the one that breaks most of the failed laws directly, then the most specific one, then by how
    many fail in its wake. refusing: the failed laws that are a MUST; none is in the wake of what neither breaks one
    directly nor makes results wrong.
    A later one must break a law directly that is still unexplained.
    """
    holding = [(each, words) for each in hypotheses if (words := _words(each, readings)) is not None]
    left, found = dict(readings.failed), list[Explanation]()
    while left:
        ranked = []
        for position, (each, words) in enumerate(holding):
            direct, all_of_them = each.explained(left)
            if each.rank <= LESS_EXPLORED and not direct & set(refusing):
                all_of_them -= set(refusing)
            if direct:
                order = (each.root, len(direct), each.specific, len(all_of_them), -position)
                ranked.append((order, each, words, direct, all_of_them))
        if not ranked:
            break
        ranked.sort(key=lambda entry: entry[0], reverse=True)
        _, best, words, direct, all_of_them = ranked[0]
        rivals = [entry for entry in ranked[1:] if entry[3] == direct and entry[1].specific == best.specific]
        other = rivals[0] if rivals else None
        holding = [(each, words) for each, words in holding if each is not best]
        # What fails in its wake may as well have a cause of its own, if one is read that little else would explain.
        sure = {law_id for each, _ in holding if each.specific >= SURE for law_id in each.explained(left)[0]}
        accounted = direct | (all_of_them - sure)
        found.append(
            Explanation(
                best,
                tuple(law_id for law_id in readings.failed if law_id in accounted),
                words,
                other[1] if other else None,
                other[2] if other else None,
            )
        )
        for law_id in accounted:
            del left[law_id]
    return found


def _words(hypothesis: Hypothesis, readings: Readings) -> Mapping[str, Any] | None:
    """What fills the hypothesis's braces; None where the readings do not speak for it."""
    try:
        holds = hypothesis.holds(readings)
    except (TypeError, ValueError, KeyError, IndexError, ZeroDivisionError):
        return None  # a reading that it rests on was not taken
    if not holds:
        return None
    return holds if isinstance(holds, Mapping) else {}
