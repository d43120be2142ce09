"""A comparison from its operands to its verdicts, with progress while it is measured."""

import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from rich.progress import TimeElapsedColumn

from sdtps_ref.benchmarks.gate.measuring.cells import CellOptions, chosen
from sdtps_ref.benchmarks.gate.measuring.isolated_import import loaded
from sdtps_ref.benchmarks.gate.measuring.plan import SECONDS, Plan
from sdtps_ref.benchmarks.gate.measuring.revisions import DEFAULT_IMPLEMENTATION, Operand, resolve
from sdtps_ref.benchmarks.gate.measuring.rounds import measured_in_fresh_process
from sdtps_ref.benchmarks.gate.rule.verdict import COUNTS, Process, Rule, Verdict, decide, observe
from sdtps_ref.benchmarks.progress import bar
from sdtps_ref.benchmarks.workloads.cells import Cell


@dataclass(frozen=True)
class GateOptions(CellOptions):
    """What is compared, and how. seconds: of measuring, for each cell and process."""

    seconds: float = SECONDS
    threads: int = 1
    implementation: str = DEFAULT_IMPLEMENTATION
    repository: Path = Path(".")
    rule: Rule = field(default_factory=Rule)


@contextmanager
def operands(base: str, head: str, asked: GateOptions) -> Iterator[tuple[Operand, Operand]]:
    """Both sides, revisions written to a folder that is gone afterwards. Raises InvalidInput."""
    with tempfile.TemporaryDirectory(prefix="sdtps-gate-") as folder:
        sides = []
        for name, given in (("base", base), ("head", head)):
            into = Path(folder, name)
            into.mkdir()
            sides.append(resolve(given, implementation=asked.implementation, repository=asked.repository, into=into))
        yield sides[0], sides[1]


def cells_of(base: Operand, head: Operand, asked: GateOptions) -> tuple[Cell, ...]:
    """What can be compared. Loads both, to see which stages they offer. Raises SDTPSError."""
    return chosen(loaded(base).implementation, loaded(head).implementation, asked)


def compared(
    base: Operand,
    head: Operand,
    cells: Sequence[Cell],
    asked: GateOptions,
) -> list[Verdict]:
    """Measure in fresh processes until the rule has its verdicts. Raises SDTPSError."""
    plan = Plan(base, head, tuple(cells), asked.seconds, threads=asked.threads, dose=asked.rule.dose)
    with bar(TimeElapsedColumn()) as progress:
        task = progress.add_task("starting", total=COUNTS[0] * len(cells))
        started = 0

        def fresh(wanted: Sequence[Cell]) -> Process:
            nonlocal started
            started += 1
            if started == COUNTS[0] + 1:
                progress.reset(task, total=COUNTS[1] * len(wanted))
            number = started

            def begin(cell: Cell) -> None:
                progress.update(task, description=f"process {number}: {cell}", advance=1)

            seed = asked.rule.seed + number
            found = measured_in_fresh_process(replace(plan, cells=tuple(wanted), seed=seed), begin)
            rng = np.random.default_rng(random.Random(seed).getrandbits(64))
            return [observe(measured, rng) for measured in found]

        return decide(cells, fresh, asked.rule)
