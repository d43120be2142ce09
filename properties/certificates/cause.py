"""A cause: the one explanation that several failures have, with its line, what it does and what mends it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sdtps_ref.properties.kit.source_line import SourceLine


@dataclass(frozen=True)
class Cause:
    """What is wrong, in one sentence, as a person would say it.

    kind: a stable word for it, such as `mask.gain`. explains: ids of the laws that fail because of it. effect: what
    it does to training, or to results. fix: the line of code that mends it, or what to do. training: the effect in
    two or three words for the headline (`gain 1e+10`), empty where training does not suffer. alternative: the other
    explanation, where two account for the same failures, and alternative_kind its kind. where: the user's line, where
    it is known.
    """

    kind: str
    sentence: str
    explains: tuple[str, ...]
    effect: str = ""
    fix: str = ""
    training: str = ""
    alternative: str = ""
    alternative_kind: str = ""
    where: SourceLine | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` reads back."""
        where = None if self.where is None else self.where.to_json()
        return asdict(self) | {"explains": list(self.explains), "where": where}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Cause:
        """The cause that `to_json` wrote."""
        where = data["where"] and SourceLine.from_json(data["where"])
        return cls(**data | {"explains": tuple(data["explains"]), "where": where})
