"""`sdtps trace`: one training step, a run that was sampled, and gradient norms with and without a mask."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import click

from sdtps_ref.command_line.command import argument, command, option
from sdtps_ref.command_line.messages import complain, results_console
from sdtps_ref.command_line.types import FILE, Parsed, whole
from sdtps_ref.errors import SDTPSError
from sdtps_ref.output_files import replace_text

STEP = "path/to/file.py:step, a function without arguments that runs one training step, or returns a loss"
EXAMPLE = "path/to/file.py:example, a function that returns (module, arguments) (default: the published form)"


class StepError(SDTPSError):
    """The step could not be run."""


@command()
@argument("target", metavar="TARGET", description=STEP)
@option("--seed", type=whole(), default=0, metavar="N", help="torch's, before the step (default: 0)")
@option("--html", type=FILE, metavar="FILE", help="write the page there")
@option("--json", type=FILE, metavar="FILE", help="write all of it there")
@option("--root", metavar="DIR", help="where the file's imports start (default: found above the file)")
def trace(target: str, seed: int, html: Path | None, json: Path | None, root: str | None) -> int:
    """Watch one training step and say why the selection does not learn. Exit 0 nothing wrong, 1 a cause was found,
    2 could not run, or no selection was seen."""
    from sdtps_ref.optional_libraries import require
    from sdtps_ref.properties.kit.roots import put_root_on_path
    from sdtps_ref.properties.tracing.target import traced

    if html is not None:
        require("jinja2", "--html")  # before the work, not after it
    if root is not None:
        put_root_on_path(root)
    step = _function(target, STEP)
    if inspect.signature(step).parameters and any(
        p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        for p in inspect.signature(step).parameters.values()
    ):
        raise StepError(f"given {target}{inspect.signature(step)}; accepted: {STEP}")
    seen, raised = traced(step, seed)
    results_console().print(str(seen), soft_wrap=True)
    if html is not None:
        from sdtps_ref.properties.tracing.page import page

        replace_text(html, page(seen))
    if json is not None:
        replace_text(json, seen.json_text())
    if raised is not None:
        raise StepError(f"{target} raised {type(raised).__name__}: {raised}") from raised
    if not seen.sites:
        complain(f"no selection was seen in {target}")
        return 2
    return 1 if seen.cause is not None else 0


def _function(target: str, accepted: str) -> Any:
    from sdtps_ref.properties.targets.loading import attribute_of, load_module

    place, _, attribute = target.rpartition(":") if ":" in target else (target, "", "")
    if not attribute:
        raise StepError(f"given {target}; accepted: {accepted}")
    found = attribute_of(load_module(place, target), attribute, place)
    if not callable(found):
        raise StepError(f"given {target}, which is a {type(found).__name__}; accepted: {accepted}")
    return found


@command()
@argument("run", type=FILE, metavar="RUN.csv", description="what `trace.every(model, to=...)` wrote")
@option("--html", type=FILE, metavar="FILE", help="write the curves there, as one page")
@option("--svg", type=FILE, metavar="FILE", help="write the curves there")
def report(run: Path, html: Path | None, svg: Path | None) -> int:
    """Draw a sampled run, and say at which step something changed. Exit 0, or 2 if it cannot be read."""
    from sdtps_ref.properties.tracing import run_report

    told = run_report.read(run)
    console = results_console()
    for line in told.lines:
        console.print(line, soft_wrap=True)
    if svg is not None:
        replace_text(svg, run_report.svg(told))
    if html is not None:
        replace_text(html, run_report.html(told))
    return 0


def _sizes(text: str) -> dict[str, int]:
    sizes = {name: int(number) for name, number in (part.split("=") for part in text.replace(",", " ").split())}
    if set(sizes) != set("BNKCM") or min(sizes.values()) < 1:
        raise ValueError
    return sizes


SIZE = Parsed("size", _sizes, "B=4,N=128,K=64,C=512,M=25 with numbers of your own")


@command()
@argument("target", required=False, metavar="TARGET", description=EXAMPLE)
@option("--size", type=SIZE, default="B=4,N=128,K=64,C=512,M=25", metavar="SIZES", help="of the published form")
@option("--seed", type=whole(), default=0, metavar="N", help="of parameters, inputs and noise (default: 0)")
def norms(target: str | None, size: Any, seed: int) -> int:
    """Print the gradient norm by part of the model: with its own mask, with log D, and without D. Exit 0, or 2."""
    import torch
    from rich.table import Table

    from sdtps_ref.properties.tracing import norms as measuring
    from sdtps_ref.properties.watching.example import subject_of_example

    given = click.get_current_context().get_parameter_source("size")
    if target is not None and given is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError("given --size with a target; accepted: one of them, the target has its own sizes")
    torch.manual_seed(seed)
    subject = measuring.published(size) if target is None else subject_of_example(_function(target, EXAMPLE))
    found = measuring.measure(subject, seed)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("gradient norm of")
    for form in measuring.FORMS:
        table.add_column(form, justify="right")
    for name, sizes in found.parts.items():
        table.add_row(name, *(f"{each:.3g}" for each in sizes))
    console = results_console()
    console.print(table)
    where = " ".join(f"{axis}={size[axis]}" for axis in "BNKCM") if target is None else found.told
    console.print(f"{where}; loss: half the sum of the squares of what is returned", soft_wrap=True)
    if target is None:
        shown = f"{measuring.PUBLISHED_LOG:,}".replace(",", " ")
        said = "is what a published test log shows at B=4 N=128 K=64 C=512 M=25, and marks as normal"
        console.print(f"{shown} {said}", soft_wrap=True)
    return 0
