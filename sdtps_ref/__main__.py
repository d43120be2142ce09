"""The front door: `sdtps COMMAND`. A room is imported only when one of its commands is called."""

import os
import sys
from typing import Any

import click

from sdtps_ref import __version__
from sdtps_ref.command_line.run import exit_status, run_program
from sdtps_ref.command_line.table import CommandTable

CLI = "sdtps_ref.properties.cli"
COMMANDS = {
    "certify": (f"{CLI}.certify:certify", "hold an implementation to the laws"),
    "trace": (f"{CLI}.trace:trace", "why does my selection not learn: watch one training step of your own"),
    "trace report": (f"{CLI}.trace:report", "draw a run that trace.every sampled, and say at which step it changed"),
    "trace norms": (f"{CLI}.trace:norms", "gradient norms by part: with a module's own mask, with log D, without D"),
    "laws": (f"{CLI}.laws:laws", "list every law"),
    "explain": (f"{CLI}.laws:explain", "print one law: formula, reason, what breaks it, remedy"),
    "selftest": (f"{CLI}.selftest:selftest", "run the laws on planted faults and right variants"),
    "report": (
        f"{CLI}.report:report",
        "make JSON, JUnit XML, Markdown, a badge or a page from a stored certificate",
    ),
    "schema": (f"{CLI}.report:schema", "print the JSON schema of a certificate"),
    "verify": (f"{CLI}.stored:verify", "check a stored certificate; with --rerun, reproduce its verdict"),
    "replay": (f"{CLI}.stored:replay", "rerun the failing case of one law that a certificate stores"),
    "merge": (f"{CLI}.stored:merge", "join certificates of several environments into a table, and shards into one"),
    "init": (f"{CLI}.init:init", "write an adapter to start from, and a test file, into your project"),
    "new-law": (f"{CLI}.new_law:new_law", "in a checkout, write the stubs of a law and of its fault"),
    "golden": ("", "generate the golden vectors, or check an implementation against them"),
    "golden generate": (
        "sdtps_ref.golden.commands:generate",
        "write the vectors, the same to the last byte on every machine",
    ),
    "golden check": ("sdtps_ref.golden.commands:check", "hold an implementation to the vectors"),
    "golden diff": ("sdtps_ref.golden.commands:diff", "tell what changed between two sets of vectors"),
    "bench": ("sdtps_ref.benchmarks.bench.cli:bench", "time implementations against the limit of this machine"),
    "bench record": (
        "sdtps_ref.benchmarks.history.cli:record",
        "time a certified pipeline against a frozen baseline, and append the ratios to a history",
    ),
    "bench history": ("sdtps_ref.benchmarks.history.cli:history", "show a history, and mark where it changed"),
    "bench trainability": (
        "sdtps_ref.benchmarks.trainability.cli:trainability",
        "train a toy task with no D, the 1e10 mask and the log mask, under Adam and SGD",
    ),
    "gate": (
        "sdtps_ref.benchmarks.gate.cli:compare",
        "did it get slower: two revisions, folders or targets against each other",
    ),
    "gate compare": ("sdtps_ref.benchmarks.gate.cli:compare", "the same as plain `sdtps gate`"),
    "gate counts": (
        "sdtps_ref.benchmarks.gate.cli:counts",
        "count operators, kernels, bytes and memory, and compare them with a stored file",
    ),
}

# Options that served this repository alone, and what replaced them.
MOVED = {
    ("gate", "--calibrate"): "in a checkout, python -m sdtps_ref.benchmarks.maintenance.calibration",
    ("gate", "--clockless"): "sdtps gate counts TARGET",
    ("gate", "--rehearse"): "in a checkout, python -m sdtps_ref.benchmarks.maintenance.rehearsal",
    ("merge", "--readme"): "in a checkout, python -m sdtps_ref.properties.maintenance.compatibility",
    ("selftest", "--readme"): "in a checkout, tox -e docs, whose pages have the kill matrix",
}


EPILOG = """`sdtps help COMMAND` tells the options of a command.

\b
eval "$(_SDTPS_COMPLETE=bash_source sdtps)"  # completes them in bash
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns the exit status; as the program, where no arguments are given, it ends the process."""
    # Matrices here are small: several threads would mostly wait for each other.
    for library in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(library, "1")
    if arguments is None:
        run_program(commands())
    return exit_status(commands(), arguments)


def commands() -> CommandTable:
    """The table as click's group, with what `sdtps` itself takes."""

    def version(ctx: click.Context, parameter: click.Parameter, given: bool) -> Any:
        if given:
            print(f"sdtps {__version__}")
            ctx.exit()

    return CommandTable(
        COMMANDS,
        MOVED,
        name="sdtps",
        params=[
            click.Option(
                ["-V", "--version"],
                is_flag=True,
                is_eager=True,
                callback=version,
                help="Print the version.",
                expose_value=False,
            ),
            click.Option(["--verbose"], is_flag=True, expose_value=False, help="Show the traceback of an error."),
        ],
        epilog=EPILOG,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )


if __name__ == "__main__":
    sys.exit(main())
