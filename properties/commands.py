"""The commands of this room: certify, laws, explain, selftest; and init, which has a file of its own."""

import argparse
import json
import traceback
from pathlib import Path

from rich.console import Console
from rich.text import Text

from sdtps_ref.errors import SDTPSError
from sdtps_ref.properties import target as targets
from sdtps_ref.properties.beginning import init
from sdtps_ref.properties.certify import check_implementation
from sdtps_ref.properties.false_alarms import run_false_alarms
from sdtps_ref.properties.law import all_laws, select_laws
from sdtps_ref.properties.matrix import write_into
from sdtps_ref.properties.report import law_line, print_summary
from sdtps_ref.properties.selftest import run_selftest
from sdtps_ref.properties.terms import PROFILES

__all__ = ["certify", "explain", "init", "laws", "selftest"]

HELP_TARGET = f"{targets.ACCEPTED} (default: the reference)"
SLOW = {"compile": "compiles", "distributed": "starts processes"}


def certify(arguments: list[str]) -> int:
    """Hold an implementation to the laws. Exit 0 certified, 1 refused, 2 could not run."""
    parser = argparse.ArgumentParser(prog="sdtps certify", description=certify.__doc__)
    parser.add_argument("target", nargs="?", default=targets.REFERENCE, metavar="TARGET", help=HELP_TARGET)
    parser.add_argument("--profile", choices=PROFILES, default="quick", help="how hard to look (default: quick)")
    parser.add_argument("--seed", type=int, default=0, help="of the drawn cases (default: 0)")
    parser.add_argument("--law", action="append", metavar="ID", help="this law or stage only, with what it rests on")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the certificate there")
    parser.add_argument("--device", default="cpu", help="where the laws run (default: cpu)")
    parser.add_argument("--verbose", action="store_true", help="show tracebacks")
    options = parser.parse_args(arguments)

    console = Console(highlight=False, markup=False)
    try:
        select_laws(options.law)  # before an import that may take long
        if options.json is not None and not options.json.parent.is_dir():
            raise SDTPSError(f"given --json {options.json}; accepted: a file in a folder that exists")
        target = targets.resolve(options.target)
        for line in (*target.found, *target.notes):
            console.print(Text(line, style="dim"), soft_wrap=True)
        certificate = check_implementation(
            target.implementation,
            profile=options.profile,
            laws=options.law,
            seed=options.seed,
            device=options.device,
            target=options.target,
            announce=lambda result: console.print(law_line(result), soft_wrap=True),
        )
    except SDTPSError as error:
        console.print(Text(f"sdtps certify: {error}", style="bold red"), soft_wrap=True)
        if options.verbose:
            console.print(Text("".join(traceback.format_exception(error))), soft_wrap=True)
        return 2
    print_summary(console, certificate, verbose=options.verbose)
    if options.json is not None:
        options.json.write_text(json.dumps(certificate.to_json(), indent=2) + "\n")
    return certificate.exit_status


def laws(arguments: list[str]) -> int:
    """List every law with its level and its claim."""
    argparse.ArgumentParser(prog="sdtps laws", description=laws.__doc__).parse_args(arguments)
    console = Console(highlight=False, markup=False)
    for law_id, law in all_laws().items():
        console.print(Text(f"{law_id:45} {law.level:6} {law.claim}"), soft_wrap=True)
    return 0


def explain(arguments: list[str]) -> int:
    """Print a law's formula, why it matters, what usually breaks it, and the remedy."""
    parser = argparse.ArgumentParser(prog="sdtps explain", description=explain.__doc__)
    parser.add_argument("id", metavar="ID", help="a law's id or a stage")
    options = parser.parse_args(arguments)
    console = Console(highlight=False, markup=False)
    try:
        chosen = [law for law_id, law in select_laws([options.id]).items() if law_id.startswith(options.id)]
    except SDTPSError as error:
        console.print(Text(f"sdtps explain: {error}", style="bold red"), soft_wrap=True)
        return 2
    for law in chosen:
        needs = ", ".join(law.needs).replace("|", " or ")
        rests = f"; rests on {', '.join(law.depends)}" if law.depends else ""
        slow = f"; {SLOW[law.budget]}, so left out of profile quick" if law.budget in SLOW else ""
        console.print(Text(law.id, style="bold") + Text(f"  ({law.level}; needs {needs}{rests}{slow})\n"))
        for heading, body in law.sections.items():
            text = " ".join(body.split())
            console.print(Text(f"{heading}: ", style="bold") + Text(f"{text}\n"))
    return 0


def selftest(arguments: list[str]) -> int:
    """Run every law on every planted fault and on right implementations; print the kill matrix."""
    parser = argparse.ArgumentParser(prog="sdtps selftest", description=selftest.__doc__)
    parser.add_argument("--seeds", type=int, metavar="N", help="instead, count false alarms: right ones, N seeds each")
    parser.add_argument("--readme", type=Path, metavar="FILE", help="instead, renew the kill matrix in FILE")
    options = parser.parse_args(arguments)
    if options.readme is not None:
        write_into(options.readme)
        return 0
    if options.seeds is None:
        return run_selftest()
    if options.seeds < 1:
        parser.error(f"given --seeds {options.seeds}; accepted: 1 or more")
    return run_false_alarms(options.seeds)
