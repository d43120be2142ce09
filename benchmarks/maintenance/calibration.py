"""How often the gate is wrong: `python -m sdtps_ref.benchmarks.maintenance.calibration --runs 140`, for hours."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import TimeElapsedColumn, TimeRemainingColumn

import sdtps_ref
from sdtps_ref.benchmarks.gate.comparison import GateOptions, cells_of, operands
from sdtps_ref.benchmarks.gate.measuring.plan import Plan
from sdtps_ref.benchmarks.gate.options import cell_options, measuring_options, options_given
from sdtps_ref.benchmarks.gate.rule.verdict import COUNTS
from sdtps_ref.benchmarks.maintenance import error_rates
from sdtps_ref.benchmarks.maintenance.pool import measured_pool
from sdtps_ref.benchmarks.progress import bar
from sdtps_ref.benchmarks.timing.environment import environment, in_words
from sdtps_ref.command_line.command import argument, command, option
from sdtps_ref.command_line.messages import results_console
from sdtps_ref.command_line.run import exit_status
from sdtps_ref.command_line.types import FILE, whole
from sdtps_ref.properties.maintenance import generated_block

HOUSE = Path(sdtps_ref.__file__).resolve().parent.parent  # of the suite that is running
CALIBRATED = replace(GateOptions(), stages=("pipeline",), seconds=1.25)


@command(name="calibration")
@argument("base", required=False, metavar="BASE", description="as `sdtps gate` takes it (default: this package)")
@cell_options
@measuring_options
@option("--runs", type=whole(1), default=10, metavar="N", help="runs of a calibration, 8 processes each (default: 10)")
@option("--jobs", type=whole(1), default=1, metavar="N", help="calibration processes run in parallel (default: 1)")
@option("--pool", type=FILE, metavar="FOLDER", help="keep what was measured there, and go on from it")
@option("--readme", type=FILE, metavar="FILE", help="renew the figures in FILE")
def calibration(base: str | None, runs: int, jobs: int, pool: Path | None, readme: Path | None, **options: Any) -> int:
    """How often the gate is wrong, of BASE slowed by known parts. Exit 0, or 2 if it could not run."""
    asked = options_given(options, CALIBRATED)
    return run_calibration(base, runs, asked, jobs=jobs, kept=pool, readme=readme, console=results_console())


def main(arguments: list[str]) -> int:
    """Run the command. Returns the exit status."""
    return exit_status(calibration, arguments)


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
        generated_block.inserted(readme.read_text(encoding="utf-8"), error_rates.BEGIN, error_rates.END, "")
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
            head_doses=error_rates.SLOWDOWNS,
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
    where = f"{in_words(environment(asked.device, asked.threads))}; processes side by side: {jobs}"
    found = error_rates.rates(cells, measured, asked.rule)
    table = error_rates.markdown(found, cells, where, len(measured))
    console.print(escape(table), soft_wrap=True)
    if readme is not None:
        generated_block.write_into(readme, error_rates.BEGIN, error_rates.END, table)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
