"""How long a whole run may take: what hangs, dies or eats memory at every law must not cost every law's time."""

import time
from collections.abc import Callable

from sdtps_ref.properties.certificates.certificate import LawResult
from sdtps_ref.properties.certificates.level import NOT_RUN
from sdtps_ref.properties.kit.law import Law

STRIKES = 2
BESIDE = 12.0  # seconds of a run beside the implementation that are not counted; on a quiet machine it is three
SCRIPTS = 8.0  # seconds; most of it is one import of torch
MEMORY = "the implementation asked for more memory than it may have"


class Budget:
    """What is left of a run. whole: seconds for it; None for no end.

    What counts is the time that the implementation took, in its own code or with its process lost, and no more than
    has passed: a busy machine is not held against it, as long as the run can end within its minute, and neither are
    several laws at once.
    """

    def __init__(self, whole: float | None = None, clock: Callable[[], float] = time.monotonic):
        self.whole, self.clock, self.started = whole, clock, clock()
        self.spent = 0.0
        self.strikes: dict[str, int] = {}

    def left(self) -> float | None:
        """Seconds that are left, at least a tenth; None where there is no end."""
        return None if self.whole is None else max(0.1, self.whole - self._used())

    def _used(self) -> float:
        passed = self.clock() - self.started
        return max(min(self.spent, passed), passed - BESIDE)

    def within(self, seconds: float | None) -> float | None:
        """`seconds`, or what is left of the run where that is less."""
        ends = [limit for limit in (seconds, self.left()) if limit is not None]
        return min(ends) if ends else None

    def for_scripts(self) -> float | None:
        """Seconds for the scripts of what failed: what is left, and a few that were set aside for them."""
        return None if self.whole is None else (self.left() or 0.0) + SCRIPTS

    def take(self, result: LawResult) -> None:
        """Count a law's time, and that it hung or was refused more memory."""
        lost = result.status == "error" and not (result.failure and result.failure.script)
        self.spent += result.seconds if lost else result.seconds_inside
        said = result.failure.message if result.failure else result.reason
        if result.out_of_time:
            self.strikes["hung"] = self.strikes.get("hung", 0) + 1
        elif result.status == "error" and said.startswith(MEMORY):
            self.strikes["ran into the memory limit"] = self.strikes.get("ran into the memory limit", 0) + 1

    def refused(self, law: Law) -> LawResult | None:
        """The result of a law that is not run because there is nothing left to run it with; None where there is."""
        if sum(self.strikes.values()) >= STRIKES:
            why = f"{NOT_RUN}{STRIKES} laws {' or '.join(self.strikes)}"
            return LawResult(law.id, law.level, "skipped", reason=why)
        return self.over(law) if self.whole is not None and self._used() >= self.whole else None

    def over(self, law: Law) -> LawResult:
        """The result of a law for which the run had too little time left."""
        why = f"{NOT_RUN}the {self.whole:g} s of the whole run are over; --time-limit lets a run take longer"
        return LawResult(law.id, law.level, "skipped", reason=why)
