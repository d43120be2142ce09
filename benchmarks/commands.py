"""The commands of this room, each in a file of its own: `sdtps bench`, and what it does besides timing."""

from importlib import import_module

BESIDES = {
    "history": "history.cli",
    "record": "history.cli",
    "trainability": "trainability.cli",
}


def bench(arguments: list[str]) -> int:
    """Time implementations, or run what the first argument names. Exit status: its own."""
    if arguments and arguments[0] in BESIDES:
        module = import_module(f"sdtps_ref.benchmarks.{BESIDES[arguments[0]]}")
        return getattr(module, arguments[0])(arguments[1:])
    return import_module("sdtps_ref.benchmarks.bench.cli").bench(arguments)


def gate(arguments: list[str]) -> int:
    """Did it get slower? Exit status: the gate's own."""
    return import_module("sdtps_ref.benchmarks.gate.cli").gate(arguments)
