"""The options that the gate and its calibration share, and what they come to."""

import argparse
import math
from pathlib import Path

from sdtps_ref.benchmarks.gate.comparison import GateOptions
from sdtps_ref.benchmarks.gate.measuring.cells import DEFAULT_MODES, DEFAULT_SIZES
from sdtps_ref.benchmarks.gate.measuring.plan import SECONDS, TOLERANCE
from sdtps_ref.benchmarks.gate.measuring.revisions import DEFAULT_IMPLEMENTATION
from sdtps_ref.benchmarks.gate.rule.verdict import Rule
from sdtps_ref.benchmarks.workloads.implementations import STAGE_METHODS
from sdtps_ref.benchmarks.workloads.workloads import DTYPES, MODES
from sdtps_ref.errors import InvalidInput

PLAIN = GateOptions()


def add_options(parser: argparse.ArgumentParser) -> None:
    """What is measured, and how."""
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


def options_given(options: argparse.Namespace, default: GateOptions = PLAIN) -> GateOptions:
    """What the options come to; `default` where one was left out. Raises InvalidInput."""
    check_positive(options, threads="1 or more", tolerance="a percentage above 0", seconds="above 0")
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


def check_positive(options: argparse.Namespace, **accepted: str) -> None:
    """Raise InvalidInput for an option that is not above 0; `accepted` says by name what is."""
    for name, allowed in accepted.items():
        value = getattr(options, name)
        if value is not None and not 0 < value < math.inf:
            raise InvalidInput.given(f"--{name} {value:g}", allowed)
