"""The commands for stored certificates: replay, verify, merge."""

import argparse
import json
from pathlib import Path

from rich.console import Console
from rich.text import Text

from sdtps_ref.errors import SDTPSError
from sdtps_ref.properties.certificates.reading import read_certificate
from sdtps_ref.properties.certificates.shards import join_shards
from sdtps_ref.properties.certificates.visible import visible, with_all_visible
from sdtps_ref.properties.engine.replay import replay as rerun_case
from sdtps_ref.properties.engine.rerun import rerun
from sdtps_ref.properties.reports.comparison import compare
from sdtps_ref.properties.reports.comparison_report import comparison_markdown, print_comparison
from sdtps_ref.properties.reports.console import law_line, print_summary
from sdtps_ref.properties.reports.formats import asked_for
from sdtps_ref.properties.reports.markdown import markdown
from sdtps_ref.properties.reports.record import record
from sdtps_ref.properties.reports.wording import verdict_words, where

HELP_CERTIFICATE = "what `sdtps certify --json` wrote"
HELP_HERE = "no child process and no limits: for a debugger"
HELP_SECONDS = "seconds a law (default: the profile's)"
HELP_TARGET = "instead of the one that the certificate names"


def replay(arguments: list[str]) -> int:
    """Rerun the failing case that a certificate stores for one law. Exit 0 the law passes on it now, 1 it fails
    again, 2 could not run."""
    parser = argparse.ArgumentParser(prog="sdtps replay", description=replay.__doc__)
    parser.add_argument("certificate", type=Path, metavar="CERT", help=HELP_CERTIFICATE)
    parser.add_argument("law", metavar="LAW", help="a law's id")
    parser.add_argument("--target", metavar="TARGET", help=HELP_TARGET)
    parser.add_argument("--time-limit", type=float, metavar="S", help=HELP_SECONDS)
    parser.add_argument("--in-process", action="store_true", help=HELP_HERE)
    options = parser.parse_args(arguments)
    console = Console(highlight=False, markup=False)
    try:
        stored = read_certificate(options.certificate)
        done = rerun_case(
            stored, options.law, target=options.target, seconds=options.time_limit, in_process=options.in_process
        )
    except SDTPSError as error:
        return _could_not(console, "replay", error)
    _say(console, f"{done.law} on {done.target}, at {done.failure.case}", "dim")
    if done.note:
        _say(console, done.note, "yellow")
    if done.message is None:
        _say(console, "PASSES NOW", "bold green")
        _say(console, f"  then: {done.failure.message}")
        return 0
    _say(console, f"FAILS AGAIN, {'with the same words' if done.same else 'with other words'}", "bold red")
    _say(console, f"  {'' if done.same else 'now: '}{done.message}")
    if not done.same:
        _say(console, f"  then: {done.failure.message}")
    return 1


def verify(arguments: list[str]) -> int:
    """Check a certificate's digest and schema, and that it agrees with itself. Exit 0 if it does, 2 if not; with
    --rerun 1 where the verdict is another one now."""
    parser = argparse.ArgumentParser(prog="sdtps verify", description=verify.__doc__)
    parser.add_argument("certificate", type=Path, metavar="CERT", help=HELP_CERTIFICATE)
    parser.add_argument("--rerun", action="store_true", help="certify again with its profile, seed and laws")
    parser.add_argument("--target", metavar="TARGET", help=f"with --rerun, {HELP_TARGET}")
    parser.add_argument("--time-limit", type=float, metavar="S", help=f"with --rerun, {HELP_SECONDS}")
    parser.add_argument("--in-process", action="store_true", help=f"with --rerun, {HELP_HERE}")
    options = parser.parse_args(arguments)
    console = Console(highlight=False, markup=False)
    try:
        certificate = read_certificate(options.certificate)
        _say(console, f"whole, and agrees with itself: {verdict_words(certificate)}", "green")
        _say(console, f"{certificate.implementation['name']} on {where(certificate)}", "dim")
        if not options.rerun:
            _say(console, "the digest tells damage, not who wrote it; --rerun reproduces the verdict", "dim")
            return 0
        again = rerun(
            certificate,
            target=options.target,
            seconds=options.time_limit,
            in_process=options.in_process,
            announce=lambda result: console.print(law_line(result), soft_wrap=True),
        )
    except SDTPSError as error:
        return _could_not(console, "verify", error)
    for line in filter(None, (again.note, *again.surroundings())):
        _say(console, line, "yellow")
    for line in again.differences():
        _say(console, line, "bold")
    if again.same:
        _say(console, f"REPRODUCED: {verdict_words(again.now)}", "bold green")
        return 0
    _say(console, f"NOT REPRODUCED: {verdict_words(again.now)}; it was {verdict_words(certificate)}", "bold red")
    return 1


def merge(arguments: list[str]) -> int:
    """Join certificates of one implementation: shards into a whole one, several environments into a table. Exit
    status of the worst verdict: 0 all certified, 1 one refused, 2 nothing measured in one, or could not join."""
    parser = argparse.ArgumentParser(prog="sdtps merge", description=merge.__doc__)
    parser.add_argument("certificates", type=Path, nargs="+", metavar="CERT", help=HELP_CERTIFICATE)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the whole certificate, or the table")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write a summary for a pull request")
    options = parser.parse_args(arguments)
    console = Console(highlight=False, markup=False)
    try:
        files = asked_for(options)
        joined = join_shards(read_certificate(path) for path in options.certificates)
        comparison = compare(joined)
        if len(joined) == 1:
            made = {"json": record, "markdown": markdown}
            written = {name: made[name](joined[0]) for name in files}
        else:
            table = json.dumps(comparison.to_json(), indent=2, allow_nan=False) + "\n"
            written = {"json": table, "markdown": comparison_markdown(comparison)}
        for name, path in files.items():
            path.write_text(written[name], encoding="utf-8")
    except SDTPSError as error:
        return _could_not(console, "merge", error)
    except OSError as error:
        return _could_not(console, "merge", SDTPSError(f"{error.filename} could not be written: {error.strerror}"))
    if len(joined) == 1:
        print_summary(console, with_all_visible(joined[0]))
    else:
        print_comparison(console, comparison)
    return comparison.exit_status


def _say(console: Console, line: str, style: str = "") -> None:
    console.print(Text(visible(line), style=style), soft_wrap=True)


def _could_not(console: Console, command: str, error: SDTPSError) -> int:
    _say(console, f"sdtps {command}: {' '.join(str(error).split())}", "bold red")
    return 2
