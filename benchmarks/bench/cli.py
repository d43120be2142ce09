"""`sdtps bench`: how fast, against what the machine could do."""

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from rich.console import Console
from rich.progress import TimeElapsedColumn

from sdtps_ref.benchmarks.bench import call, table
from sdtps_ref.benchmarks.bench.measurement import Row, Terms
from sdtps_ref.benchmarks.bench.page import page
from sdtps_ref.benchmarks.bench.suite import Plan, record, run
from sdtps_ref.benchmarks.progress import bar
from sdtps_ref.benchmarks.timing.environment import check_device, environment, in_words, why_no_gpu
from sdtps_ref.benchmarks.timing.machine import Machine, machine
from sdtps_ref.benchmarks.workloads.eligibility import Admissions
from sdtps_ref.benchmarks.workloads.implementations import STAGE_METHODS, Subject, bundled, compiled, from_target
from sdtps_ref.benchmarks.workloads.sizes import ACCEPTED, sizes_named
from sdtps_ref.benchmarks.workloads.workload import MODES
from sdtps_ref.benchmarks.workloads.workloads import DTYPES, STAGES
from sdtps_ref.command_line.command import argument, command, option
from sdtps_ref.command_line.messages import results_console
from sdtps_ref.command_line.run import if_interrupted
from sdtps_ref.command_line.types import FILE, Choice, whole
from sdtps_ref.errors import InvalidInput
from sdtps_ref.optional_libraries import require
from sdtps_ref.output_files import replace_text
from sdtps_ref.output_paths import check_writable
from sdtps_ref.properties.contract import provided

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
    """Time certified implementations, and compare each time with the limit of this machine; a FILE.py:example is timed
    by its own call, at its own sizes.

    Exit 0 all were timed, 1 something was refused or beat the limit, 2 could not run.
    """
    options = SimpleNamespace(**given)
    console = results_console()
    if not console.is_terminal:
        console.width = max(console.width, LEAST_WIDTH)
    plan = _plan(options)
    if options.html is not None and not plan.subjects:
        raise InvalidInput.given("--html for a call alone", "--json, or a target that offers a stage")
    for name, file in (("--json", options.json), ("--html", options.html)):
        check_writable(f"{name} {file}", file)
    for library in ("matplotlib", "jinja2") if options.html else ():
        require(library, "--html", extra="bench")  # before an hour of measuring
    with if_interrupted("no file was written"):
        done, machines = _measured(plan, console)
        calls = _calls(plan, machines, console)
    written = record(done, machines) | {"calls": [row.to_json() for row in calls]}
    if options.json is not None:
        replace_text(options.json, json.dumps(written, indent=1) + "\n")
    if options.html is not None:
        replace_text(options.html, page(done, written))
    for file in filter(None, (options.json, options.html)):
        console.print(f"wrote {file}", soft_wrap=True)
    return int(any(row.refusal or row.error for row in done) or any(row.refusal for row in calls))


def _plan(options: SimpleNamespace) -> Plan:
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    sizes = [size for name in options.size or ["everyday"] for size in sizes_named(name)]
    subjects = _subjects(options)
    by_stage = tuple(filter(_has_stages, subjects))
    if options.targets and not any(subject.target for subject in by_stage):
        by_stage = ()  # nothing to compare the reference with
    return Plan(
        subjects=by_stage,
        calls=tuple(subject for subject in subjects if not _has_stages(subject)),
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
    by_stage = [subject for subject in eager if _has_stages(subject)]
    return tuple(eager + [compiled(subject) for subject in by_stage if options.compile])


def _has_stages(subject: Subject) -> bool:
    """Whether it is handed over by its parts; else it is known by one call of its own, and timed by that."""
    return any(method in provided(subject.implementation) for method in STAGE_METHODS.values())


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
    if not plan.subjects:
        return done, machines
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


def _calls(plan: Plan, machines: dict[str, Machine], console: Console) -> list[call.CallRow]:
    """The rows of the calls, each where its own tensors are; a table is printed for each."""
    done: list[call.CallRow] = []
    for subject in plan.calls:
        device = call.device_of(subject)
        on = machines.get(device) or machine(device)
        rows = call.call_rows(subject, on, plan.modes, Admissions(), plan.terms)
        done += rows
        console.print()
        console.print(f"{subject.implementation.subject.told}, {device}", style="bold", soft_wrap=True)
        console.print(call.table(rows))
        for refusal in _once([row.refusal for row in rows if row.refusal]):
            console.print(f"  {refusal}", style="yellow", soft_wrap=True)
    return done


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
