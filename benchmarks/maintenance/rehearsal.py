"""The gate on planted revisions: `python -m sdtps_ref.benchmarks.maintenance.rehearsal 10 --repository .`."""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from sdtps_ref.benchmarks.gate.comparison import GateOptions, cells_of, compared, operands
from sdtps_ref.benchmarks.gate.measuring.plan import Plan
from sdtps_ref.benchmarks.gate.measuring.revisions import Operand
from sdtps_ref.benchmarks.gate.options import cell_options, measuring_options, options_given
from sdtps_ref.benchmarks.gate.rule.verdict import NOT_SLOWER, SLOWER, overall
from sdtps_ref.benchmarks.maintenance import planted_revisions
from sdtps_ref.command_line.command import argument, command
from sdtps_ref.command_line.messages import results_console
from sdtps_ref.command_line.run import exit_status
from sdtps_ref.command_line.types import whole

REHEARSED = replace(GateOptions(), stages=("pipeline",), modes=("forward+backward",))


@command(name="rehearsal")
@argument("times", type=whole(1), metavar="N", description="how often each")
@cell_options
@measuring_options
def rehearsal(times: int, **options: Any) -> int:
    """A no-op and a planted 5 % slowdown as revisions of a clone, N times each. Exit 0 if all are told right, else 1; 2
    if it could not run."""
    return run_rehearsal(times, options_given(options, REHEARSED), results_console())


def main(arguments: list[str]) -> int:
    """Run the command. Returns the exit status."""
    return exit_status(rehearsal, arguments)


def run_rehearsal(times: int, asked: GateOptions, console: Console) -> int:
    """Both planted revisions, each through the whole gate `times` times. Exit 0 where all are told right, else 1."""
    expected = {"no-op": NOT_SLOWER, "planted": SLOWER}
    right = dict.fromkeys(expected, 0)
    with tempfile.TemporaryDirectory(prefix="sdtps-rehearsal-") as folder:
        clone = Path(folder, "clone")

        def plan(base: Operand, head: Operand) -> Plan:
            return planted_revisions.longer(
                Plan(base, head, cells_of(base, head, asked), asked.seconds, threads=asked.threads)
            )

        console.print("planting a slowdown of 5 % ...")
        revisions = planted_revisions.prepare(asked.repository, clone, plan, asked.implementation)
        console.print(f"planted: {revisions.rows} tokens more through the aggregation's layers, at every call")
        for number in range(times):
            for name, head in (("no-op", revisions.no_op), ("planted", revisions.planted)):
                rule = replace(asked.rule, seed=asked.rule.seed + 1000 * (number + 1))
                here = replace(asked, repository=clone, rule=rule)
                with operands(revisions.base, head, here) as (one, other):
                    cells = cells_of(one, other, here)
                    verdicts = compared(one, other, cells, here)
                says = overall(verdicts)
                right[name] += says == expected[name]
                ratios = ", ".join(f"{verdict.head.percent:+.1f} %" for verdict in verdicts)
                why = "; ".join(verdict.why for verdict in verdicts if verdict.why)
                console.print(f"{number + 1:3} {name:8} {says:13} {ratios}  {why}", soft_wrap=True)
    for name, count in right.items():
        console.print(f"{name}: {expected[name]} {count} times out of {times}")
    return 0 if all(count == times for count in right.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
