"""`sdtps bench`: how fast, against what the machine could do."""

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from rich.console import Console
from rich.progress import TimeElapsedColumn

from sdtps_ref.benchmarks.bench import table
from sdtps_ref.benchmarks.bench.measurement import Row, Terms
from sdtps_ref.benchmarks.bench.page import page
from sdtps_ref.benchmarks.bench.suite import Plan, record, run
from sdtps_ref.benchmarks.progress import bar
from sdtps_ref.benchmarks.timing.environment import check_device, environment, in_words, why_no_gpu
from sdtps_ref.benchmarks.timing.machine import Machine, machine
from sdtps_ref.benchmarks.workloads.eligibility import Admissions
from sdtps_ref.benchmarks.workloads.implementations import Subject, bundled, compiled, from_target
from sdtps_ref.benchmarks.workloads.sizes import ACCEPTED, sizes_named
from sdtps_ref.benchmarks.workloads.workloads import DTYPES, MODES, STAGES
from sdtps_ref.command_line.command import argument, command, option
from sdtps_ref.command_line.messages import results_console
from sdtps_ref.command_line.run import if_interrupted
from sdtps_ref.command_line.types import FILE, Choice, whole
from sdtps_ref.errors import InvalidInput
from sdtps_ref.optional_libraries import require
from sdtps_ref.output_files import replace_text
from sdtps_ref.output_paths import check_writable

LEAST_WIDTH = 140  # columns of a file or pipe, which has no width of its own


@command()
@argument("targets", nargs=-1, metavar="TARGET", description="what `sdtps certify` takes; the reference is timed too")
@option("--stage", multiple=True, type=Choice(STAGES), help="only this one (default: all)")
@option("--mode", multiple=True, type=Choice(MODES), help="only this one (default: all)")
@option("--size", multiple=True, metavar="SIZE", help=f"everyday (the default), published, {ACCEPTED}")
@option("--dtype", multiple=True, type=Choice(DTYPES), help="(default: float32)")
@option(
    "--device",
    default="auto",
    metavar="DEVICE",
    help="cpu, cuda or cuda:1 (default: the CPU, and a GPU if there is one)",
)
@option("--compile", is_flag=True, help="also time each one compiled by torch.compile; takes minutes")
@option("--no-reference", is_flag=True, help="time the targets alone")
@option("--threads", type=whole(1), metavar="N", help="CPU threads (default: torch's setting, 1 here)")
@option("--samples", type=whole(3), default=20, metavar="N", help="samples per measurement (default: 20)")
@option("--json", type=FILE, metavar="FILE", help="write all measurements to FILE")
@option("--html", type=FILE, metavar="FILE", help="write a self-contained page with plots to FILE")
def bench(**given: Any) -> int:
    """Time certified implementations, and compare each time with the limit of this machine.

    Exit 0 all were timed, 1 something was refused or beat the limit, 2 could not run.
    """
    options = SimpleNamespace(**given)
    console = results_console()
    if not console.is_terminal:
        console.width = max(console.width, LEAST_WIDTH)
    plan = _plan(options)
    for name, file in (("--json", options.json), ("--html", options.html)):
        check_writable(f"{name} {file}", file)
    for library in ("matplotlib", "jinja2") if options.html else ():
        require(library, "--html", extra="bench")  # before an hour of measuring
    with if_interrupted("no file was written"):
        done, machines = _measured(plan, console)
    written = record(done, machines)
    if options.json is not None:
        replace_text(options.json, json.dumps(written, indent=1) + "\n")
    if options.html is not None:
        replace_text(options.html, page(done, written))
    for file in filter(None, (options.json, options.html)):
        console.print(f"wrote {file}", soft_wrap=True)
    return int(any(row.refusal or row.error for row in done))


def _plan(options: SimpleNamespace) -> Plan:
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    sizes = [size for name in options.size or ["everyday"] for size in sizes_named(name)]
    return Plan(
        subjects=_subjects(options),
        stages=_once(options.stage or STAGES),
        modes=_once(options.mode or MODES),
        sizes=_once(sizes),
        dtypes=_once(options.dtype or DTYPES[:1]),
        devices=_devices(options.device),
        terms=Terms(samples=options.samples),
    )


def _subjects(options: SimpleNamespace) -> tuple[Subject, ...]:
    if options.no_reference and not options.targets:
        raise InvalidInput.given("--no-reference without a target", "a target to be timed")
    own = [] if options.no_reference else [subject for subject in bundled().values() if not subject.compiled]
    eager = [*own, *map(from_target, _once(options.targets))]
    return tuple(eager + [compiled(subject) for subject in eager if options.compile])


def _devices(asked: str) -> tuple[str, ...]:
    if asked == "auto":
        return ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
    return (check_device(asked),)


def _once(values: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))


def _measured(plan: Plan, console: Console) -> tuple[list[Row], dict[str, Machine]]:
    """Every row. Each table is printed when it is complete."""
    machines = {device: machine(device) for device in plan.devices}
    done: list[Row] = []
    for device in plan.devices:
        console.print(in_words(environment(device)), soft_wrap=True)
    with bar(TimeElapsedColumn()) as progress:
        task = progress.add_task("", total=plan.steps)
        started = iter(range(plan.steps))

        def announce(what: str) -> None:
            progress.update(task, description=what, completed=next(started))

        for rows in run(plan, machines, Admissions(), announce):
            done += rows
            console.print()
            console.print(table.table(rows))
            for remark in table.remarks(rows):
                console.print(remark, soft_wrap=True)
    _print_legend(console, done, machines, plan)
    return done, machines


def _print_legend(console: Console, done: list[Row], machines: dict[str, Machine], plan: Plan) -> None:
    console.print()
    for measured in machines.values():
        console.print(table.machine_line(measured), soft_wrap=True)
    for line in table.LEGEND:
        console.print(line, style="dim", soft_wrap=True)
    if any(subject.compiled for subject in plan.subjects):
        console.print(table.COMPILED_LEGEND, style="dim", soft_wrap=True)
    if why := why_no_gpu():
        said = f"columns {', '.join(table.GPU_COLUMNS)}: {why}"
        console.print(said, style="dim", soft_wrap=True)
    errors = sum(bool(row.error) for row in done)
    if errors:
        said = f"{errors} {'time is' if errors == 1 else 'times are'} below the limit, which is an error of measurement"
        console.print(said, style="bold red")
