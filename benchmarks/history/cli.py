"""`sdtps bench record` appends to a history; `sdtps bench history` shows it, and where it changed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rich.console import Console
from rich.text import Text

from sdtps_ref.benchmarks.history import records as histories
from sdtps_ref.benchmarks.history.change_points import FEWEST, Change, changes
from sdtps_ref.benchmarks.history.paired_timing import in_processes
from sdtps_ref.benchmarks.history.plot import SHORT, draw
from sdtps_ref.benchmarks.history.records import Broken, Key, Record
from sdtps_ref.benchmarks.progress import bar
from sdtps_ref.benchmarks.timing.environment import check_device
from sdtps_ref.benchmarks.workloads.cells import Cell
from sdtps_ref.benchmarks.workloads.eligibility import Admissions
from sdtps_ref.benchmarks.workloads.implementations import from_target
from sdtps_ref.benchmarks.workloads.sizes import Size, sizes_named
from sdtps_ref.benchmarks.workloads.workload import MODES
from sdtps_ref.benchmarks.workloads.workloads import DTYPES
from sdtps_ref.command_line.command import argument, command, option
from sdtps_ref.command_line.messages import complain, results_console
from sdtps_ref.command_line.run import if_interrupted
from sdtps_ref.command_line.types import FILE, Choice, above, whole
from sdtps_ref.optional_libraries import require
from sdtps_ref.output_files import replace_text
from sdtps_ref.output_paths import check_writable
from sdtps_ref.properties.reports.page import render
from sdtps_ref.properties.targets.target import REFERENCE

SECONDS = above(0, "a number above 0")
LEGEND = (
    "Ratio: time over that of a frozen plain pipeline, timed in turns with it; above 1 is slower than that.",
    "A change is marked where the level moved and stayed; it is a hint for a person and fails nothing.",
)


@command()
@argument("target", required=False, default=REFERENCE, metavar="TARGET", description="as for certify")
@option("--history", type=FILE, required=True, metavar="FILE", help="JSON lines; made if need be")
@option("--size", default="everyday", metavar="NAME", help="as for bench (default: everyday)")
@option("--mode", multiple=True, type=Choice(MODES), help="(default: forward and forward+backward)")
@option("--dtype", type=Choice(DTYPES), default="float32", help="(default: float32)")
@option("--device", default="cpu", metavar="DEVICE", help="where it runs (default: cpu)")
@option("--processes", type=whole(1), default=3, metavar="N", help="processes per timing (default: 3)")
@option("--seconds", type=SECONDS, default=2.0, metavar="S", help="a timing in a process (default: 2)")
@option("--revision", metavar="TEXT", help="what is timed (default: this folder's git revision)")
def record(**given: Any) -> int:
    """Time a certified pipeline against a frozen yardstick, and append the ratios to a history.

    Exit 0 recorded, 1 refused, for a wrong answer has no speed, 2 could not run.
    """
    options = SimpleNamespace(**given)
    check_writable(f"--history {options.history}", options.history)
    check_device(options.device)
    sizes = sizes_named(options.size)
    if refusal := _refusal(options, sizes):
        complain(refusal)
        return 1
    cells = [
        Cell("pipeline", size, mode, options.dtype, options.device)
        for size in sizes
        for mode in options.mode or ("forward", "forward+backward")
    ]
    with if_interrupted("nothing was recorded"), bar() as progress:
        task = progress.add_task("timing", total=len(cells) * options.processes)
        timings = in_processes(
            options.target, cells, options.processes, options.seconds, lambda: progress.advance(task)
        )
    revision = options.revision or histories.revision_here()
    records = [
        histories.record_of(options.target, cell, timing, revision) for cell, timing in zip(cells, timings, strict=True)
    ]
    histories.append(options.history, records)
    console = results_console()
    for made in records:
        console.print(f"{made.key.size}, {made.key.mode}: {_timed(made)}", soft_wrap=True)
    console.print(f"{len(records)} records of {revision} appended to {options.history}", soft_wrap=True)
    return 0


@command()
@argument("file", type=FILE, metavar="FILE", description="what `sdtps bench record` appended to")
@option("--html", type=FILE, metavar="PAGE", help="write the plots there, as one page")
def history(file: Path, html: Path | None) -> int:
    """Show how the ratio to the yardstick went over the revisions, and mark where it changed.

    Exit 0 whatever is found, 2 if the file cannot be read: a history informs, it blocks nothing.
    """
    check_writable(f"--html {html}", html)
    require("ruptures", "sdtps bench history", extra="bench")
    for library in ("matplotlib", "jinja2") if html else ():
        require(library, "--html", extra="bench")
    series, broken = histories.read(file)
    found = {key: changes([entry.timing.ratio for entry in records]) for key, records in series.items()}
    _print(results_console(), series, found, broken)
    if html is not None:
        replace_text(html, _page(file, series, found, broken))
    return 0


def told(change: Change, records: Sequence[Record]) -> str:
    """A change in words."""
    after = records[change.index]
    word = "slower" if change.percent > 0 else "faster"
    return (
        f"{abs(change.percent):.1f} % {word} from {after.revision[:SHORT]} on (record {change.index + 1}, "
        f"{after.recorded[:10]}): {change.before:.3f} before, {change.after:.3f} after"
    )


def _refusal(options: SimpleNamespace, sizes: Sequence[Size]) -> str:
    admissions, subject = Admissions(), from_target(options.target)
    for size in sizes:
        if why := admissions.refusal(subject, "pipeline", size, options.dtype, options.device):
            return f"{options.target} at {size} is not timed: {why}"
    return ""


def _timed(made: Record) -> str:
    timing = made.timing
    return (
        f"{timing.ratio:.3f} times the yardstick ({timing.lowest:.3f} to {timing.highest:.3f} over "
        f"{timing.processes} processes), {1e3 * timing.seconds:.3g} ms"
    )


def _print(
    console: Console,
    series: Mapping[Key, Sequence[Record]],
    found: Mapping[Key, Sequence[Change]],
    broken: Sequence[Broken],
) -> None:
    for key, records in series.items():
        console.print(Text(str(key), style="bold"), soft_wrap=True)
        console.print(f"  {_counted(records)}", soft_wrap=True)
        for change in found[key]:
            style = "yellow" if change.percent > 0 else "green"
            console.print(Text(f"  {told(change, records)}", style=style), soft_wrap=True)
    if not series:
        console.print("no records")
    for line in broken:
        console.print(Text(_broken(line), style="red"), soft_wrap=True)


def _counted(records: Sequence[Record]) -> str:
    said = f"{len(records)} record{'s' * (len(records) > 1)}, the last of {records[-1].revision[:SHORT]}: "
    few = f"; changes are looked for from {FEWEST} records on" if len(records) < FEWEST else ""
    return said + _timed(records[-1]) + few


def _broken(line: Broken) -> str:
    return f"line {line.line} is skipped: {line.reason}"


def _page(
    file: Path,
    series: Mapping[Key, Sequence[Record]],
    found: Mapping[Key, Sequence[Change]],
    broken: Sequence[Broken],
) -> str:
    rows = [(str(key), told(change, records)) for key, records in series.items() for change in found[key]]
    lines = [f"{file.name}: {sum(map(len, series.values()))} records; changes marked: {len(rows)}."]
    return render(
        "sdtps_ref.benchmarks",
        "plotted.html",
        title="History",
        lines=lines,
        figures=[draw(series, found)] if series else [],
        columns=("what", "change"),
        rows=rows,
        small=(*LEGEND, *map(_broken, broken)),
    )
