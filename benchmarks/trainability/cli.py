"""`sdtps bench trainability`: the toy task under every mask and optimiser, as a table and a plot."""

import math
from pathlib import Path

from rich.console import Console
from rich.progress import TimeRemainingColumn
from rich.table import Table

from sdtps_ref.benchmarks.progress import bar
from sdtps_ref.benchmarks.timing.environment import environment
from sdtps_ref.benchmarks.trainability import record as records
from sdtps_ref.benchmarks.trainability.plot import svg
from sdtps_ref.benchmarks.trainability.record import Record, Run, gain, kept_of, median
from sdtps_ref.benchmarks.trainability.training import MASKS, OPTIMISERS, train
from sdtps_ref.command_line.command import command, option
from sdtps_ref.command_line.messages import results_console
from sdtps_ref.command_line.run import if_interrupted
from sdtps_ref.command_line.types import FILE, Choice, whole
from sdtps_ref.optional_libraries import require
from sdtps_ref.output_files import replace_text
from sdtps_ref.output_paths import check_writable

COLUMNS = ("optimiser", "mask", "loss", "lowest, highest", "kept", "gradient at score")
LEGEND = (
    "loss: at the end of training, median over the seeds; 2.08 is chance.",
    "kept: share of the tokens showing the class that the selection keeps; 0.5 is chance.",
    "gradient at score: its norm at the first step, where all masks have the same parameters and data.",
)


@command()
@option("--data", type=Choice(["toy", "digits"]), default="toy", help="what is learnt (default: toy)")
@option("--seeds", type=whole(1), default=8, metavar="N", help="runs of each kind (default: 8)")
@option("--steps", type=whole(1), default=400, metavar="N", help="steps a run of the toy task (default: 400)")
@option("--epochs", type=whole(1), default=12, metavar="N", help="epochs a run on the digits (default: 12)")
@option("--from", "stored", type=FILE, metavar="FILE", help="show what --json wrote, and train nothing")
@option("--json", type=FILE, metavar="FILE", help="write ends and curves to FILE")
@option("--svg", "plot", type=FILE, metavar="FILE", help="write the plot to FILE")
def trainability(
    data: str, seeds: int, steps: int, epochs: int, stored: Path | None, json: Path | None, plot: Path | None
) -> int:
    """Train a toy task with no D, the 1e10 mask and the log mask, under Adam and SGD; about two minutes on a CPU.
    With --data digits, scikit-learn's pictures, also with what people try instead of another mask; five minutes.

    Exit 0 whatever was learnt, 2 could not run.
    """
    for name, path in (("--json", json), ("--svg", plot)):
        check_writable(f"{name} {path}", path)
    if plot is not None:
        require("matplotlib", "--svg", extra="bench")  # before the work, not after it
    if data == "digits":
        return _digits(seeds, epochs, stored, json, plot)
    with if_interrupted("no file was written"):
        record = records.read(stored) if stored else _trained(seeds, steps)
    _print(results_console(), record)
    if json is not None:
        records.write(record, json)
    if plot is not None:
        replace_text(plot, svg(record))
    return 0


def _digits(seeds: int, epochs: int, stored: Path | None, json: Path | None, plot: Path | None) -> int:
    from sdtps_ref.benchmarks.trainability import digits, digits_record

    with if_interrupted("no file was written"):
        if stored is not None:
            record = digits_record.read(stored)
        else:
            runs: list[digits.DigitsRun] = []
            pictures = digits.pictures()
            kinds = [(seed, name, v) for seed in range(seeds) for name in digits.OPTIMISERS for v in digits.VARIANTS]
            with bar(TimeRemainingColumn()) as progress:
                task = progress.add_task("training", total=len(kinds) * epochs)
                for seed, optimiser, variant in kinds:
                    progress.update(task, description=f"seed {seed}, {optimiser}, {variant.name}")
                    for made in digits.train(variant, optimiser, seed, pictures, epochs):
                        if made is None:
                            progress.advance(task)
                        else:
                            runs.append(made)
            record = digits_record.DigitsRecord(epochs, environment("cpu"), digits.first_step(pictures), tuple(runs))
    digits_record.show(results_console(), record)
    if json is not None:
        digits_record.write(record, json)
    if plot is not None:
        replace_text(plot, digits_record.svg(record))
    return 0


def _trained(seeds: int, steps: int) -> Record:
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
    return Record(steps, environment("cpu"), tuple(runs))


def _print(console: Console, record: Record) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in COLUMNS:
        table.add_column(name, no_wrap=True)
    for optimiser in OPTIMISERS:
        for mask, words in MASKS.items():
            if runs := record.of(mask, optimiser):
                table.add_row(optimiser, words, *_cells(runs))
    console.print(table)
    console.print()
    found = gain(record)
    conclusion = "No gradient reached the score, so there is no gain to tell."
    if found is not None:
        conclusion = f"The score gets {found:.3g} times as much gradient through the 1e10 mask as through the log mask."
    for line in (conclusion, *LEGEND):
        console.print(line, soft_wrap=True)
    where = f"{record.seeds} seeds, {record.steps} steps, torch {record.environment['torch']}"
    console.print(where, style="dim", soft_wrap=True)


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
