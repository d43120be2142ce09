"""A hypothesis: one thing that may be wrong, what speaks for it in the readings, and what it would break."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

# What a cause does to training, the worst first: causes are told in this order.
UNTRAINED, STEEP, MISLED, OTHER_RESULTS, LESS_EXPLORED, AS_A_PROGRAM = 5, 4, 3, 2, 1, 0


class Readings(Mapping[str, Any]):
    """What the examinations read, and which laws failed. A reading that was not taken is None."""

    def __init__(self, read: Mapping[str, Any], failed: Mapping[str, str]):
        self._read, self.failed = dict(read), dict(failed)

    def __getitem__(self, name: str) -> Any:
        return self._read.get(name)

    def __iter__(self) -> Any:
        return iter(self._read)

    def __len__(self) -> int:
        return len(self._read)

    def fails(self, *patterns: str) -> bool:
        """Whether a law with an id like one of these failed."""
        return any(fnmatchcase(law_id, pattern) for law_id in self.failed for pattern in patterns)

    def has_part(self, part: str) -> bool:
        """Whether a part of this name was found in a watched call of some method; see `lines`."""
        return any(part in (self[name] or {}) for name in self if name.startswith("lines."))


@dataclass(frozen=True)
class Hypothesis:
    """One thing that may be wrong.

    kind: a stable word for it. sentence, effect, fix and training are those of a `Cause`; the words that `holds`
    returns are put into their braces. holds: whether the readings speak for it; what it returns, if it is a mapping,
    fills the braces. breaks: ids of laws, or patterns of them, that see it directly; disturbs: those that fail in its
    wake. rank: of what it does to training. specific: the higher, the less else would be read so; among hypotheses
    that explain as much, the most specific one is told.
    """

    kind: str
    sentence: str
    holds: Callable[[Readings], Any]
    breaks: tuple[str, ...]
    disturbs: tuple[str, ...] = ()
    rank: int = AS_A_PROGRAM
    specific: int = 2
    effect: str = ""
    fix: str = ""
    training: str = ""
    root: bool = False

    def explained(self, failed: Any) -> tuple[set[str], set[str]]:
        """Of the failed laws, those it breaks, and those that it breaks or disturbs."""
        direct = {law_id for law_id in failed if any(fnmatchcase(law_id, each) for each in self.breaks)}
        disturbed = (*self.disturbs, *ANYWHERE) if self.disturbs else ()
        wake = {law_id for law_id in failed if any(fnmatchcase(law_id, each) for each in disturbed)}
        return direct, direct | wake


# Stages whose laws look at the whole from other sides: whatever is wrong somewhere may be seen by them too.
ANYWHERE = ("sizes.*", "independence.*", "later_calls.*", "models.*")
DOWNSTREAM = ("gradient.*", "noise.*", "multimodal.*", "training.*", "symmetry.*", "distributed.*", "branches.*",
              "selection.*", "decision.*", "runtime.survives_large_scores", "runtime.autocast")  # fmt: skip
