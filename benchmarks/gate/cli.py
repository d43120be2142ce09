"""The commands `sdtps gate compare`, which is also plain `sdtps gate`, and `sdtps gate counts`."""

import argparse
import json
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from sdtps_ref.benchmarks.gate.comparison import cells_of, compared, operands
from sdtps_ref.benchmarks.gate.measuring.cells import CellOptions, chosen
from sdtps_ref.benchmarks.gate.measuring.revisions import ACCEPTED, DEFAULT_IMPLEMENTATION
from sdtps_ref.benchmarks.gate.op_counts_report import STORE, compared_with_store, stored_anew
from sdtps_ref.benchmarks.gate.options import add_cells, add_measuring, cells_given, options_given
from sdtps_ref.benchmarks.gate.rule.report import print_verdicts, to_json
from sdtps_ref.benchmarks.gate.rule.verdict import EXIT, overall
from sdtps_ref.benchmarks.timing.environment import check_device, environment, in_words
from sdtps_ref.errors import InvalidInput
from sdtps_ref.output_paths import check_writable
from sdtps_ref.properties.targets.target import load


def compare(arguments: list[str]) -> int:
    """Did HEAD get slower than BASE?

    Exit 0 not slower, 1 slower, 2 could not run, 3 inconclusive: a control failed, which is not a pass.
    `sdtps gate counts` compares operator counts with a stored file instead, and needs no clock.
    """
    if "--clockless" in arguments:
        raise InvalidInput.given("--clockless", "sdtps gate counts TARGET")
    parser = _parser("sdtps gate", compare.__doc__)
    parser.add_argument("base", nargs="?", metavar="BASE", help=ACCEPTED)
    parser.add_argument("head", nargs="?", metavar="HEAD", help="the same")
    add_cells(parser)
    add_measuring(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to FILE")
    options = parser.parse_args(arguments)
    check_writable(f"--json {options.json}", options.json)
    if options.base is None or options.head is None:
        raise InvalidInput.given("no HEAD" if options.base else "no BASE and HEAD", f"two, each {ACCEPTED}")
    asked = options_given(options)
    measured_on = environment(check_device(asked.device), asked.threads)
    console = Console(highlight=False, markup=False)
    begun = time.monotonic()
    with operands(options.base, options.head, asked) as (base, head):
        cells = cells_of(base, head, asked)
        for name, side in (("BASE", base), ("HEAD", head)):
            console.print(f"{name}  {side.given}  ({side.meant})", soft_wrap=True)
        console.print(Text(in_words(measured_on), style="dim"), soft_wrap=True)
        console.print()
        verdicts = compared(base, head, cells, asked)
    seconds = time.monotonic() - begun
    print_verdicts(console, verdicts, asked.rule, seconds)
    if options.json is not None:
        record = to_json(base, head, verdicts, asked.rule, measured_on, seconds)
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return EXIT[overall(verdicts)]


def counts(arguments: list[str]) -> int:
    """Count operators, kernels, bytes and peak memory of TARGET, and compare them with a stored file.

    Counts are exact, so a busy machine without a GPU will do. Exit 0 no more than stored, 1 more, 2 could not run,
    3 nothing is stored for these releases of torch and Python.
    """
    parser = _parser("sdtps gate counts", counts.__doc__)
    parser.add_argument(
        "target",
        nargs="?",
        default=DEFAULT_IMPLEMENTATION,
        metavar="TARGET",
        help="what `sdtps certify` takes (default: the reference)",
    )
    add_cells(parser)
    parser.add_argument(
        "--store", type=Path, default=STORE, metavar="FILE", help="stored counts (default: the file in this package)"
    )
    parser.add_argument("--update", action="store_true", help="store the counts instead of comparing them")
    options = parser.parse_args(arguments)
    check_writable(f"--store {options.store}", options.store)
    check_device(options.device)
    implementation = load(options.target)
    cells = chosen(implementation, implementation, cells_given(options, CellOptions()))
    act = stored_anew if options.update else compared_with_store
    return act(implementation, options.target, cells, options.store, Console(highlight=False, markup=False))


def _parser(prog: str, doc: str | None) -> argparse.ArgumentParser:
    summary, _, rest = (doc or "").partition("\n\n")
    return argparse.ArgumentParser(prog=prog, description=summary, epilog=" ".join(rest.split()))
