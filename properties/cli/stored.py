"""The commands for stored certificates: replay, verify, merge."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from sdtps_ref.command_line.command import argument, command, option
from sdtps_ref.command_line.messages import results_console
from sdtps_ref.command_line.types import FILE, above
from sdtps_ref.errors import InvalidInput
from sdtps_ref.output_files import replace_text
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
from sdtps_ref.properties.targets.loading import REFERENCE

HELP_CERTIFICATE = "what `sdtps certify --json` wrote"
HELP_HERE = "no child process and no limits: for a debugger"
HELP_SECONDS = "seconds a law (default: the profile's)"
HELP_TARGET = "instead of the one that the certificate names"
SECONDS = above(0, "seconds, above 0")


@command()
@argument("certificate", type=FILE, metavar="CERT", description=HELP_CERTIFICATE)
@argument("law", metavar="LAW", description="a law's id")
@option("--target", metavar="TARGET", help=HELP_TARGET)
@option("--time-limit", type=SECONDS, metavar="S", help=HELP_SECONDS)
@option("--in-process", is_flag=True, help=HELP_HERE)
def replay(certificate: Path, law: str, target: str | None, time_limit: float | None, in_process: bool) -> int:
    """Rerun the failing case that a certificate stores for one law. Exit 0 the law passes on it now, 1 it fails
    again, 2 could not run."""
    console = results_console()
    stored = read_certificate(certificate)
    if target is None:
        _say(console, f"imports and runs {stored.implementation['target']}, which the certificate names", "yellow")
    done = rerun_case(stored, law, target=target, seconds=time_limit, in_process=in_process)
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


@command()
@argument("certificate", type=FILE, metavar="CERT", description=HELP_CERTIFICATE)
@option("--rerun", "reruns", is_flag=True, help="certify again with its profile, seed and laws")
@option("--target", metavar="TARGET", help=f"with --rerun, {HELP_TARGET}")
@option("--trust", is_flag=True, help="with --rerun, import and run whatever the certificate names")
@option("--time-limit", type=SECONDS, metavar="S", help=f"with --rerun, {HELP_SECONDS}")
@option("--in-process", is_flag=True, help=f"with --rerun, {HELP_HERE}")
def verify(
    certificate: Path, reruns: bool, target: str | None, trust: bool, time_limit: float | None, in_process: bool
) -> int:
    """Check a certificate's digest and schema, and that it agrees with itself. Exit 0 if it does, 2 if not; with
    --rerun 1 where the verdict is another one now."""
    console = results_console()
    stored = read_certificate(certificate)
    _say(console, f"whole, and agrees with itself: {verdict_words(stored)}", "green")
    _say(console, f"{stored.implementation['name']} on {where(stored)}", "dim")
    if not reruns:
        _say(console, "the digest tells damage, not who wrote it; --rerun reproduces the verdict", "dim")
        return 0
    named = stored.implementation["target"]
    if target is None and named not in (None, REFERENCE):
        if not trust:
            raise InvalidInput.given(
                f"--rerun alone, which imports and runs {named}: whoever wrote the certificate chose that",
                "--target TARGET with your own copy of it, or --trust if you trust the certificate",
            )
        _say(console, f"imports and runs {named}, as the certificate says, because of --trust", "yellow")
    again = rerun(
        stored,
        target=target,
        seconds=time_limit,
        in_process=in_process,
        announce=lambda result: console.print(law_line(result), soft_wrap=True),
    )
    for line in filter(None, (again.note, *again.surroundings())):
        _say(console, line, "yellow")
    for line in again.differences():
        _say(console, line, "bold")
    if again.same:
        _say(console, f"REPRODUCED: {verdict_words(again.now)}", "bold green")
        return 0
    _say(console, f"NOT REPRODUCED: {verdict_words(again.now)}; it was {verdict_words(stored)}", "bold red")
    return 1


@command()
@argument("certificates", type=FILE, nargs=-1, required=True, metavar="CERT", description=HELP_CERTIFICATE)
@option("--json", type=FILE, metavar="FILE", help="write the whole certificate, or the table")
@option("--markdown", type=FILE, metavar="FILE", help="write a summary for a pull request")
def merge(certificates: tuple[Path, ...], **options: Any) -> int:
    """Join certificates of one implementation: shards into a whole one, several environments into a table. Exit
    status of the worst verdict: 0 all certified, 1 one refused, 2 nothing measured in one, or could not join."""
    console = results_console()
    files = asked_for(options)
    joined = join_shards(read_certificate(path) for path in certificates)
    comparison = compare(joined)
    if len(joined) == 1:
        made = {"json": record, "markdown": markdown}
        written = {name: made[name](joined[0]) for name in files}
    else:
        table = json.dumps(comparison.to_json(), indent=2, allow_nan=False) + "\n"
        written = {"json": table, "markdown": comparison_markdown(comparison)}
    for name, path in files.items():
        replace_text(path, written[name])
    if len(joined) == 1:
        print_summary(console, with_all_visible(joined[0]))
    else:
        print_comparison(console, comparison)
    return comparison.exit_status


def _say(console: Console, line: str, style: str = "") -> None:
    console.print(Text(visible(line), style=style), soft_wrap=True)
