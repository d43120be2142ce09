"""What a person reads: a line a law as it is judged, each failure where that is asked for, and the last screen."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from sdtps_ref.properties.certificates.certificate import Certificate, Failure, LawResult
from sdtps_ref.properties.certificates.visible import visible, with_all_visible
from sdtps_ref.properties.kit.case import CLASSES
from sdtps_ref.properties.kit.law import all_laws
from sdtps_ref.properties.reports.first_screen import print_first_screen
from sdtps_ref.properties.reports.wording import verdict_words

STYLES = {"passed": "green", "failed": "bold red", "error": "bold red", "skipped": "dim", "blocked": "yellow"} | {
    "xfailed": "yellow",
    "xpassed": "bold red",
}


def law_line(result: LawResult) -> Text:
    """One law: what became of it, how many examples it rests on, and why not where it was not judged."""
    status = "warning" if result.warns else result.status
    style = "yellow" if result.warns else STYLES[result.status]
    line = Text(f"{status:8}", style=style) + Text(f" {result.id:45}", style="default")
    if result.status in ("skipped", "blocked"):
        return line + Text(f" {visible(result.reason)}", style="dim")
    return line + Text(f" {result.examples:5} examples {result.seconds:6.2f} s", style="dim")


def print_summary(
    console: Console, certificate: Certificate, *, verbose: bool = False, written: Sequence[str] = ()
) -> None:
    """The last screen; before it, where `verbose`, each failure with its case, remedy, script and traceback."""
    certificate = with_all_visible(certificate)
    if verbose:
        console.print(ledger(certificate), style="dim", soft_wrap=True)
        for result in certificate.laws:
            if result.warns or result.refuses:
                _print_failure(console, result)
    print_first_screen(console, certificate, written)


def quiet_line(certificate: Certificate) -> Text:
    """The verdict, whether it will train, and the cause, in one line."""
    trains = f"; will train: no, {certificate.training}" if certificate.training else ""
    cause = certificate.causes[0] if certificate.causes else None
    at = f" at {cause.where}" if cause and cause.where else ""
    why = f"; {cause.sentence}{at}" if cause else ""
    return Text(visible(f"{verdict_words(certificate)}{trains}{why}"))


def ledger(certificate: Certificate) -> str:
    """On how much the verdict rests."""
    executed = sum(result.examples for result in certificate.laws)
    inside = sum(result.seconds_inside for result in certificate.laws) / max(certificate.seconds, 1e-9)
    rate = executed / max(certificate.seconds, 1e-9)
    lacking = ", ".join(sorted(CLASSES - certificate.tried)) or "nothing"
    return (
        f"{executed} examples, {rate:.0f} a second, {inside:.0%} of the time inside the implementation; "
        f"not tried: {lacking}"
    )


def _print_heading(console: Console, result: LawResult) -> None:
    console.print()
    kind = "warning" if result.warns else result.status
    console.print(Text(f"{kind}: {result.id}", style="yellow" if result.warns else "bold red"))


def _print_failure(console: Console, result: LawResult) -> None:
    _print_heading(console, result)
    if result.failure is None:
        console.print(Text(f"  {result.reason}"))
        return
    law = all_laws().get(result.id)  # a stored certificate may name one that this version does not know
    console.print(Text(f"  {result.failure.message}"))
    if result.expected:
        console.print(Text(f"  {result.reason}"))
    console.print(Text(f"  at {result.failure.case}"))
    if result.failure.script:  # there is none where the process was lost, which is no matter of this law
        if law is not None:
            console.print(Text(f"  remedy: {' '.join(law.sections['Remedy'].split())}"))
        _print_script(console, result.failure)
    if result.failure.traceback:
        for line in result.failure.traceback.rstrip().splitlines():
            console.print(Text(f"  | {line}"), soft_wrap=True)  # where a line of it begins, a log might take orders


def _print_script(console: Console, failure: Failure) -> None:
    said = {
        True: "run, and it shows this",
        False: "run, and it does NOT show this",
        None: "shows the calls; not judged",
    }
    console.print(Text(f"  script ({said[failure.reproduced]}):"))
    for line in failure.script.rstrip().splitlines():
        console.print(Text(f"    {line}"), soft_wrap=True)
