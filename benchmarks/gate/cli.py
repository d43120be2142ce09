"""The command `sdtps gate`: its options, and which of its forms was asked for."""

import argparse
import json
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from sdtps_ref.benchmarks.gate.comparison import cells_of, compare, operands
from sdtps_ref.benchmarks.gate.measuring.cells import chosen
from sdtps_ref.benchmarks.gate.measuring.environment import environment
from sdtps_ref.benchmarks.gate.measuring.revisions import ACCEPTED
from sdtps_ref.benchmarks.gate.op_counts_command import STORE, clockless
from sdtps_ref.benchmarks.gate.options import add_options, options_given
from sdtps_ref.benchmarks.gate.rule.report import print_verdicts, to_json
from sdtps_ref.benchmarks.gate.rule.verdict import EXIT, overall
from sdtps_ref.errors import InvalidInput, SDTPSError
from sdtps_ref.output_paths import check_writable
from sdtps_ref.properties.targets.target import load


def gate(arguments: list[str]) -> int:
    """Did HEAD get slower than BASE?

    Exit 0 not slower, 1 slower, 2 could not run, 3 inconclusive: a control failed, which is no pass.
    """
    options = _parser().parse_args(arguments)
    console = Console(highlight=False, markup=False)
    try:
        check_writable(f"--json {options.json}", options.json)
        if options.clockless:
            return _clockless(options, console)
        return _compare(options, console)
    except SDTPSError as error:
        print(f"sdtps gate: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    summary, _, exits = (gate.__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(prog="sdtps gate", description=summary, epilog=" ".join(exits.split()))
    parser.add_argument("base", nargs="?", metavar="BASE", help=ACCEPTED)
    parser.add_argument("head", nargs="?", metavar="HEAD", help="the same")
    add_options(parser)
    parser.add_argument(
        "--clockless",
        action="store_true",
        help="instead: count operators, kernels, bytes and memory of BASE alone (default: the reference)",
    )
    parser.add_argument(
        "--store", type=Path, default=STORE, metavar="FILE", help="of counts (default: the one of this package)"
    )
    parser.add_argument("--update", action="store_true", help="store the counts instead of comparing them")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there")
    return parser


def _clockless(options: argparse.Namespace, console: Console) -> int:
    if options.head is not None:
        raise InvalidInput.given(f"--clockless and HEAD {options.head!r}", "one target: it is held to stored counts")
    check_writable(f"--store {options.store}", options.store)
    target, asked = options.base or options.implementation, options_given(options)
    implementation = load(target)
    cells = chosen(
        implementation,
        implementation,
        stages=asked.stages,
        sizes=asked.sizes,
        modes=asked.modes,
        dtype=asked.dtype,
        device=asked.device,
    )
    return clockless(implementation, target, cells, options.store, console, update=options.update)


def _compare(options: argparse.Namespace, console: Console) -> int:
    if options.base is None or options.head is None:
        raise InvalidInput.given("no HEAD" if options.base else "no BASE and HEAD", f"two, each {ACCEPTED}")
    asked = options_given(options)
    begun = time.monotonic()
    with operands(options.base, options.head, asked) as (base, head):
        cells = cells_of(base, head, asked)
        surroundings = environment(asked.device, asked.threads)
        for name, side in (("BASE", base), ("HEAD", head)):
            console.print(f"{name}  {side.given}  ({side.meant})", soft_wrap=True)
        console.print(Text("; ".join(f"{name} {value}" for name, value in surroundings.items()), style="dim"))
        console.print()
        verdicts = compare(base, head, cells, asked)
    seconds = time.monotonic() - begun
    print_verdicts(console, verdicts, asked.rule, seconds)
    if options.json is not None:
        record = to_json(base, head, verdicts, asked.rule, surroundings, seconds)
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return EXIT[overall(verdicts)]
