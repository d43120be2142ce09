"""`sdtps bench trainability`: the toy task under every mask and optimiser, as a table and a plot."""

import argparse
import math
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import TimeRemainingColumn
from rich.table import Table

from sdtps_ref.benchmarks.progress import bar
from sdtps_ref.benchmarks.trainability import record as records
from sdtps_ref.benchmarks.trainability.plot import SIZE, draw
from sdtps_ref.benchmarks.trainability.record import Record, Run, gain, kept_of, median
from sdtps_ref.benchmarks.trainability.training import MASKS, OPTIMISERS, train
from sdtps_ref.errors import SDTPSError
from sdtps_ref.inputs import check_count
from sdtps_ref.optional_libraries import require
from sdtps_ref.output_paths import check_writable
from sdtps_ref.properties.reports.figures import drawing, inlined, standalone
from sdtps_ref.properties.reports.page import render

COLUMNS = ("optimiser", "mask", "loss", "lowest, highest", "kept", "gradient at score")
LEGEND = (
    "loss: at the end of training, median over the seeds; 2.08 is chance.",
    "kept: share of the tokens showing the class that the selection keeps; 0.5 is chance.",
    "gradient at score: its norm at the first step, where all masks have the same parameters and data.",
)


def trainability(arguments: list[str]) -> int:
    """Train a toy task with no D, the 1e10 mask and the log mask, under Adam and SGD; about two minutes on a CPU.

    Exit 0 whatever was learnt, 2 could not run.
    """
    options = _options(arguments)
    console = Console(highlight=False, markup=False)
    try:
        for option, path in (("--json", options.json), ("--svg", options.svg), ("--html", options.html)):
            check_writable(f"{option} {path}", path)
        if options.svg or options.html:
            require("matplotlib", "a plot", extra="bench")  # before the work, not after it
        if options.html:
            require("jinja2", "--html", extra="bench")
        record = records.read(options.stored) if options.stored else _trained(options.seeds, options.steps)
        _print(console, record)
        if options.json is not None:
            records.write(record, options.json)
        if options.svg is not None:
            options.svg.write_text(svg(record), encoding="utf-8")
        if options.html is not None:
            options.html.write_text(_page(record), encoding="utf-8")
    except (SDTPSError, OSError) as error:
        print(f"sdtps bench trainability: {error}", file=sys.stderr)
        return 2
    return 0


def rows(record: Record) -> list[tuple[str, ...]]:
    """A row a mask and optimiser, as printed; see COLUMNS."""
    return [
        (optimiser, words, *_cells(record.of(mask, optimiser)))
        for optimiser in OPTIMISERS
        for mask, words in MASKS.items()
        if record.of(mask, optimiser)
    ]


def svg(record: Record) -> str:
    """The curves as a file of their own; the same record gives the same text."""
    with drawing(*SIZE) as figure:
        draw(figure, record)
        return standalone(figure)


def conclusion(record: Record) -> str:
    """The gain in words."""
    found = gain(record)
    if found is None:
        return "No gradient reached the score, so there is no gain to tell."
    return f"The score gets {found:.3g} times as much gradient through the 1e10 mask as through the log mask."


def _options(arguments: list[str]) -> argparse.Namespace:
    summary, _, exits = (trainability.__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(prog="sdtps bench trainability", description=summary, epilog=exits.strip())
    parser.add_argument("--seeds", type=int, default=8, metavar="N", help="runs of each kind (default: 8)")
    parser.add_argument("--steps", type=int, default=400, metavar="N", help="steps a run (default: 400)")
    parser.add_argument(
        "--from", dest="stored", type=Path, metavar="FILE", help="show what --json wrote; train nothing"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write ends and curves there")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write the plot there")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write plot and table there, as one page")
    return parser.parse_args(arguments)


def _trained(seeds: int, steps: int) -> Record:
    check_count("seeds", seeds)
    check_count("steps", steps)
    runs: list[Run] = []
    with bar(TimeRemainingColumn()) as progress:
        task = progress.add_task("training", total=seeds * steps * len(OPTIMISERS) * len(MASKS))
        for seed in range(seeds):
            for optimiser in OPTIMISERS:
                for mask, words in MASKS.items():
                    progress.update(task, description=f"seed {seed}, {optimiser}, {words}")
                    made = []
                    for step in train(mask, optimiser, seed, steps):
                        made.append(step)
                        progress.advance(task)
                    runs.append(kept_of(mask, optimiser, seed, made))
    return Record(steps, records.environment(), tuple(runs))


def _cells(runs: tuple[Run, ...]) -> tuple[str, ...]:
    losses = [math.inf if math.isnan(run.end.loss) else run.end.loss for run in runs]
    return (
        _said(median(losses)),
        f"{_said(min(losses))}, {_said(max(losses))}",
        _said(median(run.end.kept for run in runs)),
        f"{median(run.first.score_gradient_norm for run in runs):.3g}",
    )


def _said(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "NaN"


def _print(console: Console, record: Record) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in COLUMNS:
        table.add_column(name, no_wrap=True)
    for row in rows(record):
        table.add_row(*row)
    console.print(table)
    console.print()
    for line in (conclusion(record), *LEGEND):
        console.print(line, soft_wrap=True)
    console.print(_where(record), style="dim", soft_wrap=True)


def _where(record: Record) -> str:
    return f"{record.seeds} seeds, {record.steps} steps, torch {record.environment['torch']}"


def _page(record: Record) -> str:
    with drawing(*SIZE) as figure:
        draw(figure, record)
        curves = inlined(figure, "loss and gradient norm over the steps", "curves")
    return render(
        "sdtps_ref.benchmarks",
        "plotted.html",
        title="Is the selection learnt?",
        lines=[conclusion(record)],
        figures=[curves],
        columns=COLUMNS,
        rows=rows(record),
        small=(*LEGEND, _where(record)),
    )
