"""`sdtps gate --calibrate` and `sdtps gate --rehearse`: the long runs that show how far the gate can be trusted."""

import tempfile
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import TimeElapsedColumn, TimeRemainingColumn

import sdtps_ref
from sdtps_ref.benchmarks.gate.comparison import GateOptions, cells_of, compare, operands
from sdtps_ref.benchmarks.gate.measuring.environment import environment
from sdtps_ref.benchmarks.gate.measuring.plan import Plan
from sdtps_ref.benchmarks.gate.measuring.revisions import Operand
from sdtps_ref.benchmarks.gate.rule.verdict import COUNTS, NOT_SLOWER, SLOWER, overall
from sdtps_ref.benchmarks.maintenance import calibrate, rehearse
from sdtps_ref.benchmarks.maintenance.pool import measured_pool
from sdtps_ref.benchmarks.progress import bar
from sdtps_ref.properties.reports import generated_block

HOUSE = Path(sdtps_ref.__file__).resolve().parent.parent  # of the suite that is running
CALIBRATED = replace(GateOptions(), stages=("pipeline",), seconds=1.25)
REHEARSED = replace(GateOptions(), stages=("pipeline",), modes=("forward+backward",))


def run_calibration(
    base: str | None,
    runs: int,
    asked: GateOptions,
    *,
    jobs: int,
    kept: Path | None,
    readme: Path | None,
    console: Console,
) -> int:
    """Measure, print the table, and renew it in `readme`. jobs, kept: of the pool. Exit 0. Raises SDTPSError."""
    given = base or str(HOUSE)
    if readme is not None:
        # Before hours of work.
        generated_block.inserted(readme.read_text(encoding="utf-8"), calibrate.BEGIN, calibrate.END, "")
    with operands(given, given, asked) as (one, other):
        cells = cells_of(one, other, asked)
        plan = Plan(
            one,
            other,
            cells,
            asked.seconds,
            threads=asked.threads,
            seed=asked.rule.seed,
            dose=asked.rule.dose,
            head_doses=calibrate.SLOWDOWNS,
        )
        processes = runs * sum(COUNTS)
        with bar(TimeElapsedColumn(), TimeRemainingColumn()) as progress:
            task = progress.add_task("measuring processes", total=processes)
            measured = measured_pool(
                plan,
                processes,
                jobs=jobs,
                kept=kept,
                fewest=sum(COUNTS),
                announce=lambda number: progress.update(task, completed=number),
            )
    surroundings = environment(asked.device, asked.threads) | {"processes side by side": str(jobs)}
    found = calibrate.rates(cells, measured, asked.rule)
    table = calibrate.markdown(found, cells, surroundings, len(measured))
    console.print(escape(table), soft_wrap=True)
    if readme is not None:
        generated_block.write_into(readme, calibrate.BEGIN, calibrate.END, table)
    return 0


def run_rehearsal(times: int, asked: GateOptions, console: Console) -> int:
    """Both planted revisions, each through the whole gate `times` times. Exit 0 where all are told right, else 1."""
    expected = {"no-op": NOT_SLOWER, "planted": SLOWER}
    right = dict.fromkeys(expected, 0)
    with tempfile.TemporaryDirectory(prefix="sdtps-rehearsal-") as folder:
        clone = Path(folder, "clone")

        def plan(base: Operand, head: Operand) -> Plan:
            return rehearse.longer(Plan(base, head, cells_of(base, head, asked), asked.seconds, threads=asked.threads))

        console.print("planting a slowdown of 5 % ...")
        revisions = rehearse.prepare(asked.repository, clone, plan, asked.implementation)
        console.print(f"planted: {revisions.rows} tokens more through the aggregation's layers, at every call")
        for number in range(times):
            for name, head in (("no-op", revisions.no_op), ("planted", revisions.planted)):
                rule = replace(asked.rule, seed=asked.rule.seed + 1000 * (number + 1))
                here = replace(asked, repository=clone, rule=rule)
                with operands(revisions.base, head, here) as (one, other):
                    cells = cells_of(one, other, here)
                    verdicts = compare(one, other, cells, here)
                says = overall(verdicts)
                right[name] += says == expected[name]
                ratios = ", ".join(f"{verdict.head.percent:+.1f} %" for verdict in verdicts)
                why = "; ".join(verdict.why for verdict in verdicts if verdict.why)
                console.print(f"{number + 1:3} {name:8} {says:13} {ratios}  {why}", soft_wrap=True)
    for name, count in right.items():
        console.print(f"{name}: {expected[name]} {count} times out of {times}")
    return 0 if all(count == times for count in right.values()) else 1
