"""Options that the commands of the gate, its calibration and its rehearsal share."""

import argparse
import dataclasses
import math
from pathlib import Path
from typing import Any, TypeVar

from sdtps_ref.benchmarks.gate.comparison import GateOptions
from sdtps_ref.benchmarks.gate.measuring.cells import DEFAULT_MODES, DEFAULT_SIZES, CellOptions
from sdtps_ref.benchmarks.gate.measuring.plan import SECONDS, TOLERANCE
from sdtps_ref.benchmarks.gate.measuring.revisions import DEFAULT_IMPLEMENTATION
from sdtps_ref.benchmarks.gate.rule.verdict import Rule
from sdtps_ref.benchmarks.workloads.implementations import STAGE_METHODS
from sdtps_ref.benchmarks.workloads.workloads import DTYPES, MODES
from sdtps_ref.errors import InvalidInput

Options = TypeVar("Options", bound=CellOptions)


def add_cells(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what is measured."""
    add = parser.add_argument
    add("--stage", dest="stages", action="append", choices=STAGE_METHODS, help="only this stage (default: all)")
    sizes = f"such as 4x128x512, which is B x N x C (default: {', '.join(DEFAULT_SIZES)})"
    add("--size", dest="sizes", action="append", metavar="SIZE", help=sizes)
    modes = f"only this mode (default: {' and '.join(DEFAULT_MODES)})"
    add("--mode", dest="modes", action="append", choices=MODES, help=modes)
    add("--dtype", choices=DTYPES, default="float32", help="(default: float32)")
    add("--device", default="cpu", help="cpu, cuda or cuda:1 (default: cpu)")


def add_measuring(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how two sides are compared."""
    add = parser.add_argument
    add("--threads", type=int, default=1, metavar="N", help="threads that torch may use (default: 1)")
    tolerance = (
        f"a smaller slowdown does not count; the control is slowed by twice as much (default: {100 * TOLERANCE:g})"
    )
    add("--tolerance", type=float, default=100 * TOLERANCE, metavar="PERCENT", help=tolerance)
    add("--seconds", type=float, help=f"measuring time for each cell and process (default: {SECONDS:g})")
    add("--seed", type=int, default=0, help="seed of the shuffling and the bootstrap (default: 0)")
    implementation = (
        "what to measure in a revision or folder: path/in/it.py:attribute or module:attribute "
        f"(default: {DEFAULT_IMPLEMENTATION})"
    )
    add("--implementation", default=DEFAULT_IMPLEMENTATION, metavar="TARGET", help=implementation)
    add("--repository", type=Path, metavar="FOLDER", help="where revisions are looked up (default: this folder)")


def cells_given(options: argparse.Namespace, default: Options) -> Options:
    """Turn parsed options into a dataclass.

    Args:
        options: Parsed options; those that are fields of `default` are taken.
        default: The values of what was left out.
    """
    fields = {field.name for field in dataclasses.fields(default)}
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in vars(options).items()
        if name in fields and value is not None
    }
    return dataclasses.replace(default, **given)


def options_given(options: argparse.Namespace, default: GateOptions | None = None) -> GateOptions:
    """Turn the options of `add_cells` and `add_measuring` into a dataclass. Raises InvalidInput."""
    check_positive(options, threads="1 or more", tolerance="a percentage above 0", seconds="above 0")
    tolerance = options.tolerance / 100
    rule = Rule(tolerance=tolerance, dose=2 * tolerance, seed=options.seed)
    return dataclasses.replace(cells_given(options, default or GateOptions()), rule=rule)


def check_positive(options: argparse.Namespace, **accepted: str) -> None:
    """Raise InvalidInput for an option that is not a finite number above 0; `accepted` says by name what is."""
    for name, allowed in accepted.items():
        value = getattr(options, name)
        if value is not None and not 0 < value < math.inf:
            raise InvalidInput.given(f"--{name} {value:g}", allowed)
