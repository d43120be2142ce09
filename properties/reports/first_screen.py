"""The last screen of a run, 25 lines of 80 columns at most: the verdict, the cause with its line, and what mends it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.text import Text

from sdtps_ref.properties.certificates.cause import Cause
from sdtps_ref.properties.certificates.certificate import Certificate
from sdtps_ref.properties.certificates.visible import visible
from sdtps_ref.properties.reports.wording import notes, verdict_words

LINES, COLUMNS, LABEL = 25, 80, 10
ALSO = 5  # other causes that are told, one line each
STYLES = {"cause": "bold", "fix": "green", "also": "yellow"}


def print_first_screen(console: Console, certificate: Certificate, written: Sequence[str] = ()) -> None:
    """Print it. written: where what belongs to this run was written."""
    console.print()
    for line in first_screen(certificate, written):
        console.print(line, soft_wrap=True)


def first_screen(certificate: Certificate, written: Sequence[str] = ()) -> list[Text]:
    """Its lines. What does not fit is cut from the lists of other findings, never from verdict, cause and fix."""
    head = [*_verdict(certificate), *_first_cause(certificate)]
    tail = [*_judged(certificate), *_found(certificate), *_not_judged(certificate), *_written(written)]
    room = LINES - len(head) - len(tail)
    return [*head, *list(_others(certificate))[: max(room, 1)], *tail][:LINES]


def _verdict(certificate: Certificate) -> Iterator[Text]:
    words = verdict_words(certificate)
    style = {"certified": "bold green", "refused": "bold red", "error": "bold red"}[certificate.verdict]
    if certificate.expected_failures or (certificate.verdict == "certified" and not certificate.level):
        style = "yellow"
    if certificate.verdict == "error":
        yield from (Text(line, style=style) for line in _wrapped(visible(words), 3))
        return
    yield Text(_cut(visible(words)), style=style)
    judged = [result for result in certificate.laws if result.status not in ("skipped", "blocked")]
    failed = sum(result.refuses for result in judged)
    passed = sum(result.status == "passed" for result in judged)
    conforms = f"no, {failed} of {len(judged)} laws fail" if failed else f"yes, {passed} of {len(judged)} laws"
    trains = f"no, {certificate.training}" if certificate.training else "nothing speaks against it"
    yield Text(_cut(f"conforms: {conforms}     will train: {trains}"), style=style)


def _first_cause(certificate: Certificate) -> Iterator[Text]:
    if not certificate.causes:
        return
    cause = certificate.causes[0]
    sentence = f"{cause.sentence}; or: {cause.alternative}" if cause.alternative else cause.sentence
    yield from _labelled("cause", _wrapped(visible(sentence), 4, COLUMNS - LABEL))
    if cause.where is not None:
        yield Text(_cut(f"{'':{LABEL}}  {visible(str(cause.where))}   {visible(cause.where.text)}"), style="bold")
    if cause.effect:
        yield from _labelled("", _wrapped(visible(cause.effect), 2, COLUMNS - LABEL))
    if cause.fix:
        yield from _labelled("fix", _wrapped(visible(cause.fix), 3, COLUMNS - LABEL))
    if len(cause.explains) > 1:
        yield from _labelled("explains", _wrapped(", ".join(cause.explains[1:]), 2, COLUMNS - LABEL))


def _others(certificate: Certificate) -> Iterator[Text]:
    others = certificate.causes[1:]
    lines = [_one_line(cause) for cause in others[:ALSO]]
    if len(others) > ALSO:
        lines.append(f"and {len(others) - ALSO} more")
    expected = [result for result in certificate.laws if result.status == "xfailed" and result.expected]
    lines += [f"expected to fail: {result.id}: {visible(result.expected.reason)}" for result in expected]  # type: ignore[union-attr]
    yield from _labelled("also", [_cut(line, COLUMNS - LABEL) for line in lines])


def _one_line(cause: Cause) -> str:
    where = f"{visible(str(cause.where))}  " if cause.where is not None else ""
    return f"{where}{cause.kind}: {visible(cause.sentence)}"


def _judged(certificate: Certificate) -> Iterator[Text]:
    given, where = certificate.implementation, certificate.environment
    told = given["adapters"] or [str(given["name"])]
    lines = [line for text in told[:3] for line in _wrapped(visible(text), 2, COLUMNS - LABEL)]
    lines.append(
        f"torch {where['torch']}, {where['device']}, profile {where['profile']}, seed {where['seed']}: "
        f"{certificate.seconds:.1f} s"
    )
    yield from _labelled("judged", lines[:5])


def _found(certificate: Certificate) -> Iterator[Text]:
    found = [f"{name} = {_number(value)}" for name, value in certificate.diagnosis.items()]
    told = [*certificate.implementation["notes"], *notes(certificate.laws)]
    lines = [", ".join(found)] if found else []
    yield from _labelled("found", [_cut(visible(line), COLUMNS - LABEL) for line in [*lines, *told][:4]])


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _not_judged(certificate: Certificate) -> Iterator[Text]:
    reasons: dict[str, int] = {}
    for result in certificate.laws:
        if result.status in ("skipped", "blocked"):
            reasons[result.reason] = reasons.get(result.reason, 0) + 1
    ordered = sorted(reasons.items(), key=lambda item: -item[1])
    count = sum(reasons.values())
    lines = [f"{n} law{'s' * (n > 1)}: {visible(why)}" for why, n in ordered[:2]]
    if len(ordered) > 2:
        lines.append(f"{count - sum(n for _, n in ordered[:2])} more")
    yield from _labelled("not", [_cut(line, COLUMNS - LABEL) for line in lines])


def _written(written: Sequence[str]) -> Iterator[Text]:
    if written:
        yield from _labelled("written", _wrapped("   ".join(map(visible, written)), 3, COLUMNS - LABEL))


def _labelled(label: str, lines: Iterable[str]) -> Iterator[Text]:
    for line in lines:
        yield Text(f"{label:{LABEL}}", style="dim") + Text(line, style=STYLES.get(label, "default"))
        label = ""


def _wrapped(text: str, most: int, width: int = COLUMNS) -> list[str]:
    lines = textwrap.wrap(text, width, break_on_hyphens=False) or [""]
    return lines if len(lines) <= most else [*lines[: most - 1], _cut(f"{lines[most - 1]} ...", width)]


def _cut(text: str, width: int = COLUMNS) -> str:
    return text if len(text) <= width else f"{text[: width - 4]} ..."
