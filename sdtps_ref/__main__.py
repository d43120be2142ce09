"""The front door: `sdtps COMMAND`. A room is imported only when one of its commands is called."""

import os
import sys
from importlib import import_module

COMMANDS = {
    "certify": ("properties.cli", "hold an implementation to the laws"),
    "laws": ("properties.cli", "list every law"),
    "explain": ("properties.cli", "print one law: formula, reason, what breaks it, remedy"),
    "selftest": ("properties.cli", "run the laws on planted faults and right variants"),
    "report": ("properties.cli", "make JSON, JUnit XML, Markdown, a badge or a page from a stored certificate"),
    "schema": ("properties.cli", "print the JSON schema of a certificate"),
    "verify": ("properties.cli", "check a stored certificate; with --rerun, reproduce its verdict"),
    "replay": ("properties.cli", "rerun the failing case of one law that a certificate stores"),
    "merge": ("properties.cli", "join certificates of several environments into a table, and shards into one"),
    "init": ("properties.cli", "write an adapter to start from, and a test file, into your project"),
    "golden": ("golden", "generate the golden vectors, or check an implementation against them"),
    "bench": ("benchmarks", "time implementations against each other and against the machine's limit"),
    "gate": ("benchmarks", "did it get slower: two revisions, folders or targets against each other"),
}

# Options that served this repository alone, and what replaced them.
MOVED = {
    ("gate", "--calibrate"): "benchmarks.maintenance.calibration",
    ("gate", "--rehearse"): "benchmarks.maintenance.rehearsal",
    ("merge", "--readme"): "properties.maintenance.compatibility",
    ("selftest", "--readme"): "properties.maintenance.kill_matrix",
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Exit status: the command's own; 2 for an unknown one."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given or given[0] in ("-h", "--help"):
        print(usage())
        return 0 if given else 2
    if given[0] == "--version":
        from sdtps_ref import __version__

        print(f"sdtps {__version__}")
        return 0
    if given[0] not in COMMANDS:
        print(f"sdtps: given command {given[0]!r}; accepted: {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    for option in given[1:]:
        if module := MOVED.get((given[0], option.partition("=")[0])):
            accepted = f"in a checkout, python -m sdtps_ref.{module}"
            print(f"sdtps {given[0]}: given {option}; accepted: {accepted}", file=sys.stderr)
            return 2
    # Matrices here are small: several threads would mostly wait for each other.
    for library in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(library, "1")
    room, _ = COMMANDS[given[0]]
    return getattr(import_module(f"sdtps_ref.{room}.commands"), given[0])(given[1:])


def usage() -> str:
    """What `sdtps --help` prints."""
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:{width}}{what}" for name, (_, what) in COMMANDS.items()]
    return "\n".join(["usage: sdtps COMMAND [OPTIONS]", "", *lines, "", "sdtps COMMAND --help tells the options."])


if __name__ == "__main__":
    sys.exit(main())
