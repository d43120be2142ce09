"""What `sdtps gate counts` does: count, store, compare and print."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from sdtps_ref.benchmarks import units
from sdtps_ref.benchmarks.gate import baselines
from sdtps_ref.benchmarks.gate.op_counts import Counted, counted
from sdtps_ref.benchmarks.workloads.cells import Cell

STORE = Path(__file__).with_name("counts.json")
STYLES = {0: "green", 1: "bold red", 3: "yellow"}  # by exit status
HEADINGS = ("operators", "kernels", "bytes", "over least", "peak")


def stored_anew(implementation: Any, target: str, cells: Sequence[Cell], store: Path, console: Console) -> int:
    """Count, and replace what `store` has of these cells.

    Args:
        implementation: What is counted.
        target: Its name in the store.
        cells: Stages, sizes and modes.
        store: The file; it is created if need be.
        console: Where the table goes.

    Returns:
        Exit status 0. Raises SDTPSError.
    """
    known = baselines.read(store)
    seen = _counted(implementation, cells, console)
    baselines.write(store, baselines.updated(known, target, seen))
    _print(console, seen, {name: Text("stored", style="green") for name in seen})
    console.print(f"\n{len(seen)} cells of {target} stored in {store} for {baselines.releases_here()}")
    return 0


def compared_with_store(implementation: Any, target: str, cells: Sequence[Cell], store: Path, console: Console) -> int:
    """Count, and compare with what `store` has. Arguments as for `stored_anew`.

    Returns:
        Exit status: 0 no more than stored, 1 more, 3 nothing to compare with. Raises SDTPSError.
    """
    known = baselines.read(store)
    seen = _counted(implementation, cells, console)
    try:
        owed = baselines.owed(known, target, list(seen))
    except baselines.NotComparable as error:
        _print(console, seen, {})
        console.print(Text(f"\nNOT COMPARED: {error}", style="yellow"), soft_wrap=True)
        return 3
    return _compared(console, seen, owed)


def _counted(implementation: Any, cells: Sequence[Cell], console: Console) -> dict[str, Counted]:
    return {
        _key(cell): counted(implementation, cell) for cell in track(cells, "counting", console=console, transient=True)
    }


def _compared(console: Console, seen: dict[str, Counted], owed: dict[str, dict[str, Any]]) -> int:
    verdicts: dict[str, Text] = {}
    said: list[str] = []
    statuses = {0}
    for name, counts in seen.items():
        more, less = baselines.worse(counts, owed[name]), baselines.better(counts, owed[name])
        lost = counts.kernels is None and owed[name]["kernels"] is not None
        status = 1 if more else 3 if lost else 0
        statuses.add(status)
        verdicts[name] = Text(
            {1: "more", 3: "not compiled", 0: "less" if less else "as stored"}[status], STYLES[status]
        )
        said += [f"{name}: {line}" for line in more + less]
        if lost:
            said.append(f"{name}: {owed[name]['kernels']} kernels are stored, but nothing could be compiled here")
    _print(console, seen, verdicts)
    console.print()
    for line in said:
        console.print(line, soft_wrap=True)
    worst = 1 if 1 in statuses else max(statuses)
    closing = {
        0: "NOT MORE than stored." + " Less of it: --update holds on to that." * bool(said),
        1: "MORE than stored. Where that is meant, --update stores it; say why in the commit.",
        3: "NOT COMPARED in full: this is no pass.",
    }
    console.print(Text(closing[worst], style=STYLES[worst]), soft_wrap=True)
    return worst


def _print(console: Console, seen: dict[str, Counted], verdicts: dict[str, Text]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    for heading in HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    sizes = {name.split()[2] for name in seen}
    one = f" {min(sizes)}" if len(sizes) == 1 else ""  # said once, above
    console.print(Text(one.strip(), style="dim"))
    for name, counts in seen.items():
        table.add_row(
            name.replace("forward+backward", "fwd+bwd").replace(one, ""),
            str(sum(counts.operators.values())),
            "-" if counts.kernels is None else str(counts.kernels),
            units.size(counts.bytes),
            f"{counts.excess:.2f}",
            units.size(counts.peak_bytes),
            verdicts.get(name, Text("")),
        )
    console.print(table)


def _key(cell: Cell) -> str:
    place = "" if (cell.dtype, cell.device) == ("float32", "cpu") else f" {cell.dtype} {cell.device}"
    return f"{cell}{place}"
