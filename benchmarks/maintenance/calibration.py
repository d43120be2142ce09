"""How often the gate is wrong: `python -m sdtps_ref.benchmarks.maintenance.calibration --runs 140`, for hours."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import TimeElapsedColumn, TimeRemainingColumn

import sdtps_ref
from sdtps_ref.benchmarks.gate.comparison import GateOptions, cells_of, operands
from sdtps_ref.benchmarks.gate.measuring.plan import Plan
from sdtps_ref.benchmarks.gate.options import add_cells, add_measuring, check_positive, options_given
from sdtps_ref.benchmarks.gate.rule.verdict import COUNTS
from sdtps_ref.benchmarks.maintenance import error_rates
from sdtps_ref.benchmarks.maintenance.pool import measured_pool
from sdtps_ref.benchmarks.progress import bar
from sdtps_ref.benchmarks.timing.environment import environment, in_words
from sdtps_ref.errors import SDTPSError
from sdtps_ref.properties.maintenance import generated_block

HOUSE = Path(sdtps_ref.__file__).resolve().parent.parent  # of the suite that is running
CALIBRATED = replace(GateOptions(), stages=("pipeline",), seconds=1.25)


def main(arguments: list[str]) -> int:
    """How often the gate is wrong, of BASE slowed by known parts. Exit 0, or 2 if it could not run."""
    parser = argparse.ArgumentParser(prog="calibration", description=main.__doc__)
    parser.add_argument("base", nargs="?", metavar="BASE", help="as `sdtps gate` takes it (default: this package)")
    add_cells(parser)
    add_measuring(parser)
    parser.add_argument("--runs", type=int, default=10, metavar="N", help="of a calibration, 8 processes each")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="of its processes side by side (default: 1)")
    parser.add_argument("--pool", type=Path, metavar="FOLDER", help="keep what was measured there, and go on from it")
    parser.add_argument("--readme", type=Path, metavar="FILE", help="renew the figures in FILE")
    options = parser.parse_args(arguments)
    try:
        check_positive(options, runs="1 or more", jobs="1 or more")
        return run_calibration(
            options.base,
            options.runs,
            options_given(options, CALIBRATED),
            jobs=options.jobs,
            kept=options.pool,
            readme=options.readme,
            console=Console(highlight=False, markup=False),
        )
    except SDTPSError as error:
        print(f"calibration: {error}", file=sys.stderr)
        return 2


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
