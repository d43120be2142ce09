"""The commands `sdtps gate compare`, which is also plain `sdtps gate`, and `sdtps gate counts`."""

import json
import time
from pathlib import Path
from typing import Any

from rich.text import Text

from sdtps_ref.benchmarks.gate.comparison import cells_of, compared, operands
from sdtps_ref.benchmarks.gate.measuring.cells import CellOptions, chosen
from sdtps_ref.benchmarks.gate.measuring.revisions import ACCEPTED, DEFAULT_IMPLEMENTATION
from sdtps_ref.benchmarks.gate.op_counts_report import STORE, compared_with_store, stored_anew
from sdtps_ref.benchmarks.gate.options import cell_options, cells_given, measuring_options, options_given
from sdtps_ref.benchmarks.gate.rule.report import print_verdicts, to_json
from sdtps_ref.benchmarks.gate.rule.verdict import EXIT, overall
from sdtps_ref.benchmarks.timing.environment import check_device, environment, in_words
from sdtps_ref.command_line.command import argument, command, option
from sdtps_ref.command_line.messages import results_console
from sdtps_ref.command_line.run import if_interrupted
from sdtps_ref.command_line.types import FILE
from sdtps_ref.errors import InvalidInput
from sdtps_ref.output_files import replace_text
from sdtps_ref.output_paths import check_writable
from sdtps_ref.properties.contract import CALL
from sdtps_ref.properties.targets.target import load


@command()
@argument("base", required=False, metavar="BASE", description=ACCEPTED)
@argument("head", required=False, metavar="HEAD", description="the same")
@cell_options
@measuring_options
@option("--json", "file", type=FILE, metavar="FILE", help="write the result to FILE")
def compare(base: str | None, head: str | None, file: Path | None, **options: Any) -> int:
    """Did HEAD get slower than BASE?

    Exit 0 not slower, 1 slower, 2 could not run, 3 inconclusive: a control failed, which is not a pass.
    `sdtps gate counts` compares operator counts with a stored file instead, and needs no clock.
    """
    check_writable(f"--json {file}", file)
    if base is None or head is None:
        raise InvalidInput.given("no HEAD" if base else "no BASE and HEAD", f"two, each {ACCEPTED}")
    asked = options_given(options)
    measured_on = environment(check_device(asked.device), asked.threads)
    console = results_console()
    begun = time.monotonic()
    with if_interrupted("no file was written"), operands(base, head, asked) as (one, other):
        cells = cells_of(one, other, asked)
        for name, side in (("BASE", one), ("HEAD", other)):
            console.print(f"{name}  {side.given}  ({side.meant})", soft_wrap=True)
        console.print(Text(in_words(measured_on), style="dim"), soft_wrap=True)
        console.print()
        verdicts = compared(one, other, cells, asked)
    seconds = time.monotonic() - begun
    print_verdicts(console, verdicts, asked.rule, seconds)
    if file is not None:
        record = to_json(one, other, verdicts, asked.rule, measured_on, seconds)
        replace_text(file, json.dumps(record, indent=2) + "\n")
    return EXIT[overall(verdicts)]


@command()
@argument(
    "target",
    required=False,
    default=DEFAULT_IMPLEMENTATION,
    metavar="TARGET",
    description="what `sdtps certify` takes (default: the reference)",
)
@cell_options
@option("--store", type=FILE, default=STORE, metavar="FILE", help="stored counts (default: the file in this package)")
@option("--update", is_flag=True, help="store the counts instead of comparing them")
def counts(target: str, store: Path, update: bool, **options: Any) -> int:
    """Count operators, kernels, bytes and peak memory of TARGET, and compare them with a stored file.

    Counts are exact, so a busy machine without a GPU will do. Exit 0 no more than stored, 1 more, 2 could not run,
    3 nothing is stored for these releases of torch and Python.
    """
    check_writable(f"--store {store}", store)
    check_device(options["device"])
    implementation = load(target)
    cells = chosen(implementation, implementation, cells_given(options, CellOptions()))
    if cells[0].stage == CALL:
        accepted = f"an implementation of stages; `sdtps bench {target}` counts what its call does"
        raise InvalidInput.given(f"an example, {target}", accepted)
    act = stored_anew if update else compared_with_store
    return act(implementation, target, cells, store, results_console())
