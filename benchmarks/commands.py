"""The commands of this room, and how all of them end: an error is one line and status 2, Ctrl-C is status 130."""

import sys
from importlib import import_module

from sdtps_ref.errors import SDTPSError

COMMANDS = {
    "bench": "bench.cli:bench",
    "bench record": "history.cli:record",
    "bench history": "history.cli:history",
    "bench trainability": "trainability.cli:trainability",
    "gate": "gate.cli:compare",
    "gate compare": "gate.cli:compare",
    "gate counts": "gate.cli:counts",
}
INTERRUPTED = 130


def bench(arguments: list[str]) -> int:
    """Run `sdtps bench`, or the subcommand that the first argument names. Returns the exit status."""
    return _run("bench", arguments)


def gate(arguments: list[str]) -> int:
    """Run `sdtps gate`, or the subcommand that the first argument names. Returns the exit status."""
    return _run("gate", arguments)


def _run(name: str, arguments: list[str]) -> int:
    if arguments and f"{name} {arguments[0]}" in COMMANDS:
        name, arguments = f"{name} {arguments[0]}", arguments[1:]
    module, _, function = COMMANDS[name].partition(":")
    try:
        return getattr(import_module(f"sdtps_ref.benchmarks.{module}"), function)(arguments)
    except (SDTPSError, OSError) as error:
        print(f"sdtps {name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"sdtps {name}: interrupted; no file was written", file=sys.stderr)
        return INTERRUPTED
