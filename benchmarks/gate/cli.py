"""The command `sdtps gate`: its options, and which of its forms was asked for."""

import argparse
import json
import math
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from sdtps_ref.benchmarks.gate.comparison import GateOptions, cells_of, compare, operands
from sdtps_ref.benchmarks.gate.measuring.cells import DEFAULT_MODES, DEFAULT_SIZES, chosen
from sdtps_ref.benchmarks.gate.measuring.environment import environment
from sdtps_ref.benchmarks.gate.measuring.plan import SECONDS, TOLERANCE
from sdtps_ref.benchmarks.gate.measuring.revisions import ACCEPTED, DEFAULT_IMPLEMENTATION
from sdtps_ref.benchmarks.gate.op_counts_command import STORE, clockless
from sdtps_ref.benchmarks.gate.rule.report import print_verdicts, to_json
from sdtps_ref.benchmarks.gate.rule.verdict import EXIT, Rule, overall
from sdtps_ref.benchmarks.maintenance.long_runs import CALIBRATED, REHEARSED, run_calibration, run_rehearsal
from sdtps_ref.benchmarks.workloads.implementations import STAGE_METHODS
from sdtps_ref.benchmarks.workloads.workloads import DTYPES, MODES
from sdtps_ref.errors import InvalidInput, SDTPSError
from sdtps_ref.output_paths import check_writable
from sdtps_ref.properties.targets.target import load

PLAIN = GateOptions()


def gate(arguments: list[str]) -> int:
    """Did HEAD get slower than BASE?

    Exit 0 not slower, 1 slower, 2 could not run, 3 inconclusive: a control failed, which is no pass.
    """
    options = _parser().parse_args(arguments)
    console = Console(highlight=False, markup=False)
    try:
        if options.clockless:
            return _clockless(options, console)
        if options.calibrate:
            asked = _asked(options, CALIBRATED)
            return run_calibration(
                options.base,
                options.runs,
                asked,
                jobs=options.jobs,
                kept=options.pool,
                readme=options.readme,
                console=console,
            )
        if options.rehearse:
            return run_rehearsal(options.rehearse, _asked(options, REHEARSED), console)
        return _compare(options, console)
    except SDTPSError as error:
        print(f"sdtps gate: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    summary, _, exits = (gate.__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(prog="sdtps gate", description=summary, epilog=" ".join(exits.split()))
    parser.add_argument("base", nargs="?", metavar="BASE", help=ACCEPTED)
    parser.add_argument("head", nargs="?", metavar="HEAD", help="the same")
    parser.add_argument("--stage", action="append", choices=STAGE_METHODS, help="this stage only (default: all)")
    sizes = "a size such as 4x128x512, B by N by C; may be repeated"
    parser.add_argument(
        "--size", action="append", metavar="SIZE", help=f"{sizes} (default: {', '.join(DEFAULT_SIZES)})"
    )
    parser.add_argument(
        "--mode", action="append", choices=MODES, help=f"this mode only (default: {', '.join(DEFAULT_MODES)})"
    )
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="(default: float32)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 (default: cpu)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of torch (default: 1)")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=100 * TOLERANCE,
        metavar="PERCENT",
        help=f"slower by less is not called slower; the control is slowed by twice that (default: {100 * TOLERANCE:g})",
    )
    parser.add_argument("--seconds", type=float, help=f"of measuring, a cell and process (default: {SECONDS:g})")
    parser.add_argument("--seed", type=int, default=0, help="of the shuffling and the bootstrap (default: 0)")
    parser.add_argument(
        "--implementation",
        default=DEFAULT_IMPLEMENTATION,
        metavar="TARGET",
        help="what is measured of a revision or folder: path/in/it.py:attribute or module:attribute "
        f"(default: {DEFAULT_IMPLEMENTATION})",
    )
    parser.add_argument(
        "--repository", type=Path, default=Path("."), metavar="FOLDER", help="where revisions are looked for"
    )
    parser.add_argument(
        "--clockless",
        action="store_true",
        help="instead: count operators, kernels, bytes and memory of BASE alone (default: the reference)",
    )
    parser.add_argument(
        "--store", type=Path, default=STORE, metavar="FILE", help="of counts (default: the one of this package)"
    )
    parser.add_argument("--update", action="store_true", help="store the counts instead of comparing them")
    parser.add_argument(
        "--calibrate",
        action="store_true",
        help="instead: how often the gate is wrong, of BASE (default: this package) slowed by known parts",
    )
    parser.add_argument("--runs", type=int, default=10, metavar="N", help="of a calibration, 8 processes each")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="of its processes side by side (default: 1)")
    parser.add_argument(
        "--pool", type=Path, metavar="FOLDER", help="keep what a calibration measured there, and go on from it"
    )
    parser.add_argument("--readme", type=Path, metavar="FILE", help="renew the calibration's figures in FILE")
    parser.add_argument(
        "--rehearse",
        type=int,
        default=0,
        metavar="N",
        help="instead: a no-op and a planted 5 %% slowdown as revisions of a clone, N times each",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there")
    return parser


def _asked(options: argparse.Namespace, default: GateOptions = PLAIN) -> GateOptions:
    positive = {
        "threads": "1 or more",
        "tolerance": "a percentage above 0",
        "seconds": "above 0",
        "runs": "1 or more",
        "jobs": "1 or more",
    }
    for name, accepted in positive.items():
        value = getattr(options, name)
        if value is not None and not 0 < value < math.inf:
            raise InvalidInput.given(f"--{name} {value:g}", accepted)
    check_writable(f"--json {options.json}", options.json)
    tolerance = options.tolerance / 100
    return GateOptions(
        stages=tuple(options.stage or default.stages),
        sizes=tuple(options.size or default.sizes),
        modes=tuple(options.mode or default.modes),
        dtype=options.dtype,
        device=options.device,
        seconds=options.seconds or default.seconds,
        threads=options.threads,
        implementation=options.implementation,
        repository=options.repository,
        rule=Rule(tolerance=tolerance, dose=2 * tolerance, seed=options.seed),
    )


def _clockless(options: argparse.Namespace, console: Console) -> int:
    if options.head is not None:
        raise InvalidInput.given(f"--clockless and HEAD {options.head!r}", "one target: it is held to stored counts")
    check_writable(f"--store {options.store}", options.store)
    target, asked = options.base or options.implementation, _asked(options)
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
    asked = _asked(options)
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
