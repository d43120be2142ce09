"""The rule: three fresh processes, five more where there is a suspicion or a control failed, then a verdict a cell."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sdtps_ref.benchmarks.gate.cells import Cell
from sdtps_ref.benchmarks.gate.judging import LEVEL, Evidence, Judgement, evidence, holm, judge
from sdtps_ref.benchmarks.gate.plan import DOSE, TOLERANCE, Measured

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


Process = Sequence[Observed]  # one of each cell


def observe(measured: Measured, rng: np.random.Generator) -> Observed:
    """What a process measured in one cell, as evidence."""
    head, again, slow = (evidence(measured.logs(subject), rng) for subject in ("head", "again", "slow"))
    seconds = float(np.median(measured.times[..., 0])) / measured.calls
    return Observed(head, again, slow, measured.dose, seconds)


def decide(
    cells: Sequence[Cell], fresh: Callable[[Sequence[Cell]], Process], rule: Rule, processes: tuple[int, int] = COUNTS
) -> list[Verdict]:
    """The verdict on each cell. fresh: measures cells in a new process.

    It is called three times with all cells, and five times more with those that are in doubt: HEAD looks slower there,
    or a control failed. Controls and figures are then those of all eight processes; slower is what the first three and
    the five fresh ones both call so.
    """
    few, more = processes
    first = [fresh(cells) for _ in range(few)]
    judged = _judged(cells, first, rule)
    early = [_early(*row, rule, len(cells)) for row in judged]
    doubtful = [number for number, verdict in enumerate(early) if verdict.says != NOT_SLOWER]
    if not doubtful:
        return early
    left = [cells[number] for number in doubtful]
    later = [fresh(left) for _ in range(more)]
    every = [[process[number] for number in doubtful] for process in first] + later
    confirmed = [slower for *_, slower in _judged(left, later, rule)]
    for number, agrees, (cell, together, _) in zip(doubtful, confirmed, _judged(left, every, rule), strict=True):
        suspected = judged[number][-1]
        early[number] = _late(cell, together, suspected, agrees, processes, _failed(together, rule, len(cells)))
    return early


def overall(verdicts: Sequence[Verdict]) -> str:
    """Slower where one cell is: its own controls held. Inconclusive where one is, and none is slower."""
    said = {verdict.says for verdict in verdicts}
    return next(says for says in (SLOWER, INCONCLUSIVE, NOT_SLOWER) if says in said)


def _early(cell: Cell, judged: "Judged", slower: bool, rule: Rule, cells: int) -> Verdict:
    failed = _failed(judged, rule, cells)
    return Verdict(cell, INCONCLUSIVE if failed else SLOWER if slower else NOT_SLOWER, failed, *judged)


def _late(
    cell: Cell, judged: "Judged", suspected: bool, confirmed: bool, processes: tuple[int, int], failed: str
) -> Verdict:
    few, more = processes
    if failed:
        return Verdict(cell, INCONCLUSIVE, failed, *judged)
    if confirmed and not suspected:
        why = f"{few} processes call it not slower, {more} more call it slower"
        return Verdict(cell, INCONCLUSIVE, why, *judged)
    if confirmed:
        return Verdict(cell, SLOWER, f"{few} processes, and {more} more", *judged)
    why = f"{few} processes called it slower, {more} more did not" if suspected else ""
    return Verdict(cell, NOT_SLOWER, why, *judged)


Judged = tuple[Judgement, Judgement, Judgement, float, float]


def _judged(cells: Sequence[Cell], processes: Sequence[Process], rule: Rule) -> list[tuple[Cell, Judged, bool]]:
    """Each cell with what is known of it, and whether HEAD is slower there, the cells taken together by Holm."""
    rng = np.random.default_rng([rule.seed, len(processes)])
    rows: list[Judged] = []
    for number in range(len(cells)):
        seen = [process[number] for process in processes]
        subjects = ([o.head for o in seen], [o.again for o in seen], [o.slow for o in seen])
        head, again, slow = (judge(subject, rng) for subject in subjects)
        middle = (float(np.median([o.dose for o in seen])), float(np.median([o.seconds for o in seen])))
        rows.append((head, again, slow, *middle))
    levels = holm([row[0].chance for row in rows], rule.level)
    return [
        (cell, row, row[0].slower(rule.tolerance, level)) for cell, row, level in zip(cells, rows, levels, strict=True)
    ]


def _failed(judged: Judged, rule: Rule, cells: int) -> str:
    """Which control failed, in words; empty where none did. The slowed copy is held to the strictest level of Holm."""
    _, again, slow, dose, _ = judged
    if abs(dose / rule.dose - 1) > DOSE_ERROR:
        return f"the copy to be slowed by {rule.dose:.1%} was slowed by {dose:.1%}"
    if abs(again.ratio) > math.log1p(rule.tolerance):
        return f"BASE differs from its own copy by {again.percent:+.1f} %"
    if not slow.slower(rule.tolerance, rule.level / cells):
        return f"the copy slowed by {dose:.1%} was not seen: {seen}"
    return ""
