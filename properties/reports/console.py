"""What a person reads: a line a law as it is judged, then the verdict, then every failure."""

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from sdtps_ref.properties.certificates.certificate import Certificate, Failure, LawResult
from sdtps_ref.properties.kit.case import CLASSES
from sdtps_ref.properties.kit.law import all_laws

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
        return line + Text(f" {result.reason}", style="dim")
    return line + Text(f" {result.examples:5} examples {result.seconds:6.2f} s", style="dim")


def print_summary(console: Console, certificate: Certificate, *, verbose: bool = False) -> None:
    """The verdict, the diagnosis, then for each failure its message, case and script."""
    given, where = certificate.implementation, certificate.environment
    console.print()
    console.print(verdict_line(certificate), soft_wrap=True)
    console.print(
        f"{given['name']} on torch {where['torch']}, {where['device']}, profile {where['profile']}, "
        f"seed {where['seed']}: {certificate.seconds:.1f} s",
        style="dim",
        soft_wrap=True,
    )
    console.print(counts(certificate.laws))
    console.print(ledger(certificate), style="dim", soft_wrap=True)
    for result in certificate.laws:
        if result.expected and result.status == "xfailed":
            link = f" ({result.expected.link})" if result.expected.link else ""
            console.print(Text(f"expected to fail: {result.id}: {result.expected.reason}{link}"), soft_wrap=True)
    for name, value in certificate.diagnosis.items():
        console.print(f"{name} = {value:.4g}" if isinstance(value, float) else f"{name} = {value}")
    for note in notes(certificate.laws):
        console.print(f"note: {note}", style="yellow", soft_wrap=True)
    raised: dict[str, str] = {}  # by what was raised, the first law in which it was
    for result in certificate.laws:
        if result.warns or result.refuses:
            message = result.failure.message if result.failure and result.status == "error" else ""
            if message in raised and not verbose:
                _print_heading(console, result)
                console.print(Text(f"  the same exception as in {raised[message]}, above"))
                continue
            if message:
                raised[message] = result.id
            _print_failure(console, result, verbose)


def verdict_line(certificate: Certificate) -> Text:
    """CERTIFIED with its level, REFUSED with the laws, or that nothing was measured."""
    if certificate.verdict == "certified":
        asked_for, shard = certificate.environment["laws"], certificate.environment["shard"]
        level = f"level {certificate.level}" if certificate.level else "in part: no selector"
        if asked_for != "all":
            level = f"in part: by {', '.join(asked_for)} alone"
        elif shard:
            level = f"in part: shard {shard}; `sdtps merge` joins the others"
        if certificate.expected_failures and not certificate.level:
            level += f", with {len(certificate.expected_failures)} expected to fail"
        return Text(f"CERTIFIED, {level}", style="bold yellow" if certificate.expected_failures else "bold green")
    if certificate.verdict == "refused":
        return Text(f"REFUSED by {', '.join(r.id for r in certificate.laws if r.refuses)}", style="bold red")
    roots = [r for r in certificate.laws if r.status == "error"] or certificate.laws
    reasons = {r.failure.message if r.failure else r.reason for r in roots}
    nothing = "PASSED" if any(r.status == "xfailed" for r in certificate.laws) else "MEASURED"
    return Text(f"NOTHING {nothing}: {'; '.join(sorted(reasons))}", style="bold red")


def counts(results: Iterable[LawResult]) -> str:
    """How many laws came to what."""
    tally: dict[str, int] = {}
    for result in results:
        status = "warning" if result.warns else result.status
        tally[status] = tally.get(status, 0) + 1
    return ", ".join(f"{count} {status}" for status, count in tally.items())


def notes(results: Iterable[LawResult]) -> list[str]:
    """What the implementation did besides, each with how many laws saw it."""
    seen: dict[str, int] = {}
    for note in (note for result in results for note in result.notes):
        seen[note] = seen.get(note, 0) + 1
    return [f"{note} (in {count} laws)" if count > 1 else note for note, count in seen.items()]


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


def _print_failure(console: Console, result: LawResult, verbose: bool) -> None:
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
    if verbose and result.failure.traceback:
        console.print(Text(result.failure.traceback.rstrip()), soft_wrap=True)


def _print_script(console: Console, failure: Failure) -> None:
    said = {
        True: "run, and it shows this",
        False: "run, and it does NOT show this",
        None: "shows the calls; not judged",
    }
    console.print(Text(f"  script ({said[failure.reproduced]}):"))
    for line in failure.script.rstrip().splitlines():
        console.print(Text(f"    {line}"), soft_wrap=True)
