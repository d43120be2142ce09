"""How often the gate is wrong: of the same code, and of code slowed by a known part.

A pool of fresh processes is measured. Each times BASE, both controls and a HEAD for every slowdown, in the same
rounds. The decisions on one slowdown are then made of processes that no other decision on it uses: three, or eight
where the rule asks for more. So they are independent of each other, and the intervals hold; the decisions on
different slowdowns share processes and are not independent of each other.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sdtps_ref.benchmarks.gate.measuring.plan import Measured
from sdtps_ref.benchmarks.gate.rule.verdict import (
    COUNTS,
    INCONCLUSIVE,
    NOT_SLOWER,
    SLOWER,
    Process,
    Rule,
    decide,
    observe,
    overall,
)
from sdtps_ref.benchmarks.workloads.cells import Cell
from sdtps_ref.properties.signals.tail_bounds import clopper_pearson

SLOWDOWNS = (0.0, 0.02, 0.03, 0.05, 0.10)
BEGIN = "<!-- gate: written by `sdtps_ref.benchmarks.maintenance.calibration` -->"
END = "<!-- end of the gate's figures -->"


@dataclass(frozen=True)
class Rate:
    """One slowdown: how many independent decisions said what. dose: the slowdown as it was measured."""

    slowdown: float
    dose: float
    said: dict[str, int]

    @property
    def runs(self) -> int:
        """Decisions."""
        return sum(self.said.values())


def rates(cells: Sequence[Cell], measured: Sequence[Sequence[Measured]], rule: Rule) -> list[Rate]:
    """The decisions on every slowdown, from disjoint parts of the pool. measured: by process, then by cell."""
    return [_rate(cells, measured, rule, slowdown) for slowdown in SLOWDOWNS]


def _rate(cells: Sequence[Cell], measured: Sequence[Sequence[Measured]], rule: Rule, slowdown: float) -> Rate:
    rng = np.random.default_rng(random.Random(f"{rule.seed} {slowdown}").getrandbits(64))
    left = [{seen.cell: observe(seen, rng, slowdown) for seen in process} for process in measured]
    said: Counter[str] = Counter()
    while len(left) >= sum(COUNTS):

        def fresh(wanted: Sequence[Cell]) -> Process:
            process = left.pop(0)
            return [process[cell] for cell in wanted]

        said[overall(decide(cells, fresh, rule))] += 1
    doses = [seen.subjects[f"head {slowdown:g}"] for process in measured for seen in process]
    return Rate(slowdown, float(np.median(doses)), dict(said))


def markdown(found: Sequence[Rate], cells: Sequence[Cell], where: str, processes: int) -> str:
    """The figures as README shows them. where: what they were measured on."""
    rows = [
        f"{processes} fresh processes, {len(cells)} cells ({'; '.join(map(str, cells))}); {where}.",
        "Intervals are Clopper-Pearson, 95 %; the decisions of one row share no process.",
        "",
        "| injected slowdown | decisions | slower | not slower | inconclusive | called slower | passed |",
        "|---|---|---|---|---|---|---|",
    ]
    for rate in found:
        counts = [rate.said.get(says, 0) for says in (SLOWER, NOT_SLOWER, INCONCLUSIVE)]
        name = "none" if not rate.slowdown else f"{100 * rate.slowdown:g} % (seen: {100 * rate.dose:.1f} %)"
        shown = [
            name,
            str(rate.runs),
            *map(str, counts),
            _interval(counts[0], rate.runs),
            _interval(counts[1], rate.runs),
        ]
        rows.append(f"| {' | '.join(shown)} |")
    return "\n".join(rows)


def _interval(count: int, runs: int) -> str:
    if not runs:
        return "-"
    low, high = clopper_pearson(count, runs)
    return f"{count / runs:.1%} ({low:.1%} to {high:.1%})"
