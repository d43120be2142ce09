"""The commands of this room: `sdtps golden generate|check|diff`."""

from pathlib import Path
from typing import Any

from rich.text import Text

from sdtps_ref.command_line.command import argument, command, option
from sdtps_ref.command_line.messages import results_console
from sdtps_ref.command_line.types import FILE, Choice
from sdtps_ref.golden import stages, vectors
from sdtps_ref.golden.diff import differences

SHOWN = 10  # mismatches a stage that are printed in full
FOLDER: dict[str, Any] = {"type": FILE, "default": vectors.FOLDER, "metavar": "FOLDER"}
HELP_TARGET = "package.module:attribute or path/to/file.py:attribute (default: the reference)"


@command()
@option("--vectors", "folder", **FOLDER, help="where to (default: this package's own)")
@option("--stage", multiple=True, type=Choice(stages.NAMES), help="this stage only")
def generate(folder: Path, stage: tuple[str, ...]) -> int:
    """Write the vectors, the same to the last byte on every machine."""
    console = results_console()
    try:
        from sdtps_ref.golden.generate import write
    except ModuleNotFoundError as error:
        raise vectors.VectorError(f"{error}; accepted: an environment with mpmath, which torch brings along") from error
    changed = write(folder, tuple(stage or stages.NAMES))
    for path in changed:
        console.print(f"wrote {path}", soft_wrap=True)
    if not changed:
        console.print("nothing changed")
    return 0


@command()
@argument("target", required=False, metavar="TARGET", description=HELP_TARGET)
@option("--vectors", "folder", **FOLDER, help="a set, also an old one (default: this package's own)")
@option("--stage", multiple=True, type=Choice(stages.NAMES), help="this stage only")
def check(target: str | None, folder: Path, stage: tuple[str, ...]) -> int:
    """Hold an implementation to the vectors. Exit 0 as written, 1 mismatch, 2 could not run."""
    from sdtps_ref.golden.check import check as checked
    from sdtps_ref.properties.targets import target as targets

    console = results_console()
    target = target or targets.REFERENCE
    files = vectors.read_all(folder)
    files = [file for file in files if not stage or file.stage in stage]
    if not files:
        raise vectors.VectorError(f"{folder} has no file for {', '.join(stage)}")
    implementation = targets.load(target)
    reports = checked(implementation, files)
    name = getattr(implementation, "name", target)
    specs = ", ".join(map(str, sorted({file.spec_version for file in files})))
    console.print(f"{name} against golden vectors, spec version {specs}", soft_wrap=True)
    for report in reports:
        wrong = len(report.mismatches)
        line = f"{report.stage:14}{report.cases:4} cases {report.checked:5} checked {report.entries:6} numbers"
        state = f"{wrong} wrong" if wrong else "as written" if report.checked else "not checked"
        style = "red" if wrong else "green" if report.checked else "yellow"
        console.print(Text(f"{line}  ") + Text(state, style=style), soft_wrap=True)
        for mismatch in report.mismatches[:SHOWN]:
            case = mismatch.case
            console.print(f"    {case.id} {mismatch.dtype} ({case.comment}): {mismatch.message}", soft_wrap=True)
        if wrong > SHOWN:
            console.print(f"    and {wrong - SHOWN} more")
        for reason, count in report.unchecked.items():
            console.print(Text(f"    {count} not checked: {reason}", style="dim"), soft_wrap=True)
    count, wrong = sum(r.checked for r in reports), sum(len(r.mismatches) for r in reports)
    if not count and not wrong:
        raise vectors.VectorError("nothing could be checked")
    unchecked = sum(sum(r.unchecked.values()) for r in reports)
    verdict = f"{wrong} wrong" if wrong else "as written"
    console.print(f"{verdict}: {count} checked (cases times float formats), {unchecked} not checked", soft_wrap=True)
    return 1 if wrong else 0


@command()
@argument("old", type=FILE, metavar="OLD", description="a folder of vector files")
@argument("new", type=FILE, metavar="NEW", description="another")
def diff(old: Path, new: Path) -> int:
    """Say what changed between two sets, by case and by units in the last place. Exit 0 nothing, 1 something, 2 could
    not run."""
    console = results_console()
    found = list(differences(vectors.read_all(old), vectors.read_all(new)))
    for line in found:
        console.print(line, soft_wrap=True)
    console.print(f"{len(found)} differences" if found else "no difference")
    return 1 if found else 0
