"""The rule: three fresh processes, five more where there is a suspicion or a control failed, then a verdict a cell.

Slower is said where the ratio of the first three passes the tolerance, that of five fresh ones passes it too, and the
lower bound of all eight lies above one, at a level that the cells share by Holm. Two sets of processes that agree keep
false alarms rare; the bound is asked of all eight, because three processes have none worth the name.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sdtps_ref.benchmarks.gate.measuring.plan import AGAIN, DOSE, SLOW, TOLERANCE, Measured, head_name
from sdtps_ref.benchmarks.gate.rule.judging import LEVEL, REPLICATES, Evidence, Judgement, evidence, holm, judge
from sdtps_ref.benchmarks.workloads.cells import Cell

COUNTS = (3, 5)  # processes: at first, and more where there is a doubt
NOT_SLOWER, SLOWER, INCONCLUSIVE = "not slower", "slower", "inconclusive"
EXIT = {NOT_SLOWER: 0, SLOWER: 1, INCONCLUSIVE: 3}
DOSE_ERROR = 0.2  # of the dose owed; beyond it the slowed copy is no control


@dataclass(frozen=True)
class Observed:
    """One process on one cell, as evidence on each subject. seconds: of one call of BASE; dose: of the slowed copy."""

    head: Evidence
    again: Evidence
    slow: Evidence
    dose: float
    seconds: float = math.nan


@dataclass(frozen=True)
class Verdict:
    """What is said of one cell, and why. dose: what the slowed copy really did besides."""

    cell: Cell
    says: str
    why: str
    head: Judgement
    again: Judgement
    slow: Judgement
    dose: float
    seconds: float


@dataclass(frozen=True)
class Rule:
    """tolerance: slower by less is not called slower. dose: of the slowed copy. level: of all cells together."""

    tolerance: float = TOLERANCE
    dose: float = DOSE
    level: float = LEVEL
    seed: int = 0

    def replicates(self, cells: int) -> int:
        """Of the bootstrap: enough for a chance below the strictest level that Holm asks for."""
        return max(REPLICATES, math.ceil(2 * cells / self.level))


Process = Sequence[Observed]  # one of each cell


def observe(measured: Measured, rng: np.random.Generator, head_dose: float = 0.0) -> Observed:
    """What a process measured in one cell, as evidence. head_dose: which HEAD, where there are several."""
    names = (head_name(head_dose), AGAIN, SLOW)
    head, again, slow = (evidence(measured.logs(subject), rng) for subject in names)
    seconds = float(np.median(measured.times[..., 0])) / measured.calls
    return Observed(head, again, slow, measured.subjects[SLOW], seconds)


def decide(
    cells: Sequence[Cell], fresh: Callable[[Sequence[Cell]], Process], rule: Rule, processes: tuple[int, int] = COUNTS
) -> list[Verdict]:
    """The verdict on each cell. fresh: measures cells in a new process.

    It is called three times with all cells, and five times more with those that are in doubt: HEAD looks slower there,
    or a control failed. The figures of those are of all eight processes.
    """
    few, more = processes
    first = [fresh(cells) for _ in range(few)]
    early = [_judged([process[i] for process in first], rule, len(cells)) for i in range(len(cells))]
    verdicts = [Verdict(cell, NOT_SLOWER, "", *judged) for cell, judged in zip(cells, early, strict=True)]
    doubtful = [i for i, judged in enumerate(early) if _passes(judged[0], rule) or _failed(judged, rule, rule.level)]
    if not doubtful:
        return verdicts
    later = [fresh([cells[i] for i in doubtful]) for _ in range(more)]
    fives, eights = {}, dict(enumerate(early))
    for place, i in enumerate(doubtful):
        fives[i] = _judged([process[place] for process in later], rule, len(cells))
        every = [process[i] for process in first] + [process[place] for process in later]
        eights[i] = _judged(every, rule, len(cells))
    levels = holm([eights[i][0].chance for i in range(len(cells))], rule.level)
    for i in doubtful:
        failed = _failed(eights[i], rule, rule.level / len(cells))
        says, why = (INCONCLUSIVE, failed) if failed else _late(early[i][0], fives[i][0], eights[i][0], levels[i], rule)
        verdicts[i] = Verdict(cells[i], says, why, *eights[i])
    return verdicts


def overall(verdicts: Sequence[Verdict]) -> str:
    """Slower where one cell is: its own controls held. Inconclusive where one is, and none is slower."""
    said = {verdict.says for verdict in verdicts}
    return next(says for says in (SLOWER, INCONCLUSIVE, NOT_SLOWER) if says in said)


def _late(three: Judgement, five: Judgement, eight: Judgement, level: float, rule: Rule) -> tuple[str, str]:
    """What is said of HEAD where the controls held, and why."""
    sets = f"{three.processes} processes {three.percent:+.1f} %, {five.processes} more {five.percent:+.1f} %"
    suspected, confirmed = _passes(three, rule), _passes(five, rule)
    if not confirmed:
        return NOT_SLOWER, f"not confirmed: {sets}" if suspected else ""
    if not suspected:
        return INCONCLUSIVE, f"they do not agree: {sets}"
    if not eight.slower(rule.tolerance, level):
        return INCONCLUSIVE, f"too much noise to exclude chance: {sets}"
    return SLOWER, sets


def _passes(judgement: Judgement, rule: Rule) -> bool:
    return judgement.ratio > math.log1p(rule.tolerance)


Judged = tuple[Judgement, Judgement, Judgement, float, float]


def _judged(seen: Sequence[Observed], rule: Rule, cells: int) -> Judged:
    """What several processes say of one cell: HEAD, A/A, slowed; the dose, and the seconds of a call."""
    rng = np.random.default_rng([rule.seed, len(seen)])
    subjects = ([o.head for o in seen], [o.again for o in seen], [o.slow for o in seen])
    head, again, slow = (judge(subject, rng, rule.replicates(cells)) for subject in subjects)
    return head, again, slow, float(np.median([o.dose for o in seen])), float(np.median([o.seconds for o in seen]))


def _failed(judged: Judged, rule: Rule, level: float) -> str:
    """Which control failed, in words; empty where none did. level: that the slowed copy is held to."""
    _, again, slow, dose, _ = judged
    if abs(dose / rule.dose - 1) > DOSE_ERROR:
        return f"the copy to be slowed by {rule.dose:.1%} was slowed by {dose:.1%}"
    if abs(again.ratio) > math.log1p(rule.tolerance):
        return f"BASE differs from its own copy by {again.percent:+.1f} %"
    if not slow.slower(rule.tolerance, level):
        found = f"{slow.percent:+.1f} %, 99 % over {slow.lower_percent:+.1f} %"
        return f"the copy slowed by {dose:.1%} was not seen: {found}"
    return ""
