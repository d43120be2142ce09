"""Options that the commands of the gate, its calibration and its rehearsal share."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from sdtps_ref.benchmarks.gate.comparison import GateOptions
from sdtps_ref.benchmarks.gate.measuring.cells import DEFAULT_MODES, DEFAULT_SIZES, CellOptions
from sdtps_ref.benchmarks.gate.measuring.plan import SECONDS, TOLERANCE
from sdtps_ref.benchmarks.gate.measuring.revisions import DEFAULT_IMPLEMENTATION
from sdtps_ref.benchmarks.gate.rule.verdict import Rule
from sdtps_ref.benchmarks.workloads.implementations import STAGE_METHODS
from sdtps_ref.benchmarks.workloads.workload import MODES
from sdtps_ref.benchmarks.workloads.workloads import DTYPES
from sdtps_ref.command_line.command import option, together
from sdtps_ref.command_line.types import FILE, Choice, above, whole

Options = TypeVar("Options", bound=CellOptions)


SIZES = f"such as 4x128x512, which is B x N x C (default: {', '.join(DEFAULT_SIZES)})"
USUAL = f"(default: {100 * TOLERANCE:g})"
HELP_IMPLEMENTATION = (
    "what to measure in a revision or folder: path/in/it.py:attribute or module:attribute "
    f"(default: {DEFAULT_IMPLEMENTATION})"
)

# What is measured.
cell_options = together(
    option("--stage", "stages", multiple=True, type=Choice(STAGE_METHODS), help="only this stage (default: all)"),
    option("--size", "sizes", multiple=True, metavar="SIZE", help=SIZES),
    option(
        "--mode",
        "modes",
        multiple=True,
        type=Choice(MODES),
        help=f"only this mode (default: {' and '.join(DEFAULT_MODES)})",
    ),
    option("--dtype", type=Choice(DTYPES), default="float32", help="(default: float32)"),
    option("--device", default="cpu", metavar="DEVICE", help="cpu, cuda or cuda:1 (default: cpu)"),
)

# How two sides are compared.
measuring_options = together(
    option("--threads", type=whole(1), default=1, metavar="N", help="threads that torch may use (default: 1)"),
    option(
        "--tolerance",
        type=above(0, "a percentage above 0"),
        default=100 * TOLERANCE,
        metavar="PERCENT",
        help=f"a smaller slowdown does not count; the control is slowed by twice as much {USUAL}",
    ),
    option(
        "--seconds",
        type=above(0, "above 0"),
        metavar="S",
        help=f"measuring time for each cell and process (default: {SECONDS:g})",
    ),
    option("--seed", type=whole(), default=0, metavar="N", help="seed of the shuffling and the bootstrap (default: 0)"),
    option("--implementation", default=DEFAULT_IMPLEMENTATION, metavar="TARGET", help=HELP_IMPLEMENTATION),
    option("--repository", type=FILE, metavar="FOLDER", help="where revisions are looked up (default: this folder)"),
)


def cells_given(options: Mapping[str, Any], default: Options) -> Options:
    """Turn the options of a command into a dataclass.

    Args:
        options: All of them, by name; those that are fields of `default` are taken.
        default: The values of what was left out.
    """
    fields = {field.name for field in dataclasses.fields(default)}
    given = {name: value for name, value in options.items() if name in fields and value not in (None, ())}
    return dataclasses.replace(default, **given)


def options_given(options: Mapping[str, Any], default: GateOptions | None = None) -> GateOptions:
    """Turn the options of `cell_options` and `measuring_options` into a dataclass."""
    tolerance = options["tolerance"] / 100
    rule = Rule(tolerance=tolerance, dose=2 * tolerance, seed=options["seed"])
    return dataclasses.replace(cells_given(options, default or GateOptions()), rule=rule)
