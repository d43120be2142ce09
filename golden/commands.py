"""The command of this room: `sdtps golden generate|check|diff`."""

import argparse
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from sdtps_ref.errors import SDTPSError
from sdtps_ref.golden import stages, vectors
from sdtps_ref.golden.diff import differences

SHOWN = 10  # mismatches a stage that are printed in full


def golden(arguments: list[str]) -> int:
    """Generate the golden vectors, hold an implementation to them, or compare two sets of them.

    Exit 0 as it should be, 1 mismatch or difference, 2 could not run.
    """
    summary, _, exits = (golden.__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(prog="sdtps golden", description=summary, epilog=exits.strip())
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    folder: dict[str, Any] = {"type": Path, "default": vectors.FOLDER, "metavar": "FOLDER"}

    generate = commands.add_parser("generate", help="write the vectors, the same to the last byte on every machine")
    generate.add_argument("--vectors", **folder, help="where to (default: this package's own)")
    generate.add_argument("--stage", action="append", choices=stages.NAMES, help="this stage only")
    generate.set_defaults(run=_generate)

    check = commands.add_parser("check", help="hold an implementation to the vectors")
    check.add_argument(
        "target",
        nargs="?",
        metavar="TARGET",
        help="package.module:attribute or path/to/file.py:attribute (default: the reference)",
    )
    check.add_argument("--vectors", **folder, help="a set, also an old one (default: this package's own)")
    check.add_argument("--stage", action="append", choices=stages.NAMES, help="this stage only")
    check.set_defaults(run=_check)

    diff = commands.add_parser("diff", help="say what changed between two sets, by case and by units in the last place")
    diff.add_argument("old", type=Path, metavar="OLD", help="a folder of vector files")
    diff.add_argument("new", type=Path, metavar="NEW", help="another")
    diff.set_defaults(run=_diff)

    options = parser.parse_args(arguments)
    try:
        return options.run(options, Console(highlight=False, markup=False))
    except SDTPSError as error:
        print(f"sdtps golden: {error}", file=sys.stderr)
        return 2


def _generate(options: argparse.Namespace, console: Console) -> int:
    try:
        from sdtps_ref.golden.generate import write
    except ModuleNotFoundError as error:
        raise vectors.VectorError(f"{error}; accepted: an environment with mpmath, which torch brings along") from error
    changed = write(options.vectors, tuple(options.stage or stages.NAMES))
    for path in changed:
        console.print(f"wrote {path}", soft_wrap=True)
    if not changed:
        console.print("nothing changed")
    return 0


def _check(options: argparse.Namespace, console: Console) -> int:
    from sdtps_ref.golden.check import check
    from sdtps_ref.properties.targets import target as targets

    target = options.target or targets.REFERENCE
    files = vectors.read_all(options.vectors)
    files = [file for file in files if not options.stage or file.stage in options.stage]
    if not files:
        raise vectors.VectorError(f"{options.vectors} has no file for {', '.join(options.stage)}")
    implementation = targets.load(target)
    reports = check(implementation, files)
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
    checked, wrong = sum(r.checked for r in reports), sum(len(r.mismatches) for r in reports)
    if not checked and not wrong:
        raise vectors.VectorError("nothing could be checked")
    unchecked = sum(sum(r.unchecked.values()) for r in reports)
    verdict = f"{wrong} wrong" if wrong else "as written"
    console.print(f"{verdict}: {checked} checked (cases times float formats), {unchecked} not checked", soft_wrap=True)
    return 1 if wrong else 0


def _diff(options: argparse.Namespace, console: Console) -> int:
    found = list(differences(vectors.read_all(options.old), vectors.read_all(options.new)))
    for line in found:
        console.print(line, soft_wrap=True)
    console.print(f"{len(found)} differences" if found else "no difference")
    return 1 if found else 0
