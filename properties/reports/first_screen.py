"""The last screen of a run, 25 lines of 80 columns at most: the verdict, the cause with its line, and what mends it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from sdtps_ref.properties.certificates.cause import Cause
from sdtps_ref.properties.certificates.certificate import Certificate
from sdtps_ref.properties.certificates.level import NOT_RUN
from sdtps_ref.properties.certificates.visible import visible
from sdtps_ref.properties.reports.wording import expectation, notes, told, verdict_words

LINES, COLUMNS, LABEL = 25, 80, 10
ALSO = 5  # other causes that are told, one line each
LEAST = {"found": 1, "not": 1, "also": 2, "judged": 2}  # lines that stay of each list, the first to be cut first
STYLES = {"cause": "bold", "remark": "yellow", "fix": "green", "also": "yellow"}


def print_first_screen(console: Console, certificate: Certificate, written: Sequence[str] = ()) -> None:
    """Print it. written: where what belongs to this run was written."""
    console.print()
    for line in first_screen(certificate, written):
        console.print(line, soft_wrap=True)


def first_screen(certificate: Certificate, written: Sequence[str] = ()) -> list[Text]:
    """Its lines. What does not fit is cut from the lists of other findings, never from verdict, cause and fix."""
    head = [*_verdict(certificate), *_first_cause(certificate)]
    tail = {
        "also": _others(certificate),
        "judged": _judged(certificate),
        "found": _shortened(_found(certificate), 4),
        "not": _shortened(_not_judged(certificate), 3),
        "written": _wrapped("   ".join(written), 3, COLUMNS - LABEL) if written else [],
    }
    for label, least in LEAST.items():
        too_many = len(head) + sum(map(len, tail.values())) - LINES
        tail[label] = _shortened(tail[label], max(least, len(tail[label]) - max(too_many, 0)))
    return [*head, *(line for label, lines in tail.items() for line in _labelled(label, lines))]


def _verdict(certificate: Certificate) -> Iterator[Text]:
    words = verdict_words(certificate)
    style = {"certified": "bold green", "refused": "bold red", "error": "bold red"}[certificate.verdict]
    if certificate.expected_failures or (certificate.verdict == "certified" and not certificate.level):
        style = "yellow"
    if certificate.verdict == "error":
        yield from (Text(line, style=style) for line in _wrapped(words, 3))
        return
    yield from (Text(line, style=style) for line in _wrapped(words, 2))
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
    yield from _labelled(_weight(certificate, cause), _wrapped(sentence, 4, COLUMNS - LABEL))
    if cause.where is not None:
        line = _cut(f"{cause.where}   {cause.where.text}", COLUMNS - LABEL - 2)
        yield Text(f"{'':{LABEL}}  {line}", style="bold")
    if cause.effect:
        yield from _labelled("", _wrapped(cause.effect, 2, COLUMNS - LABEL))
    if cause.fix:
        yield from _labelled("fix", _wrapped(cause.fix, 3, COLUMNS - LABEL))
    yield from _labelled("explains", _wrapped(", ".join(cause.explains), 2, COLUMNS - LABEL))


def _weight(certificate: Certificate, cause: Cause) -> str:
    """A cause is of what refuses, spoils the training or is in the user's own call; the rest is a remark."""
    refuses = any(result.refuses for result in certificate.laws if result.id in cause.explains)
    return "cause" if refuses or cause.training or cause.kind.startswith("call.") else "remark"


def _others(certificate: Certificate) -> list[str]:
    others = certificate.causes[1:]
    lines = [_cut(_one_line(cause), COLUMNS - LABEL) for cause in others[:ALSO]]
    if len(others) > ALSO:
        lines.append(f"and {len(others) - ALSO} more")
    for result in certificate.laws:
        if result.status == "xfailed" and result.expected:
            known = expectation(result).replace("expected to fail:", f"expected to fail: {result.id}:", 1)
            lines += _wrapped(known, 2, COLUMNS - LABEL)
    return lines


def _one_line(cause: Cause) -> str:
    where = f"{cause.where}  " if cause.where is not None else ""
    return f"{where}{cause.kind}: {cause.sentence}"


def _judged(certificate: Certificate) -> list[str]:
    given, where = certificate.implementation, certificate.environment
    told = given["adapters"] or [str(given["name"])]
    lines = [line for text in told[:3] for line in _wrapped(text, 2, COLUMNS - LABEL)][:4]
    ran = (
        f"torch {where['torch']}, {where['device']}, profile {where['profile']}, seed {where['seed']}: "
        f"{certificate.seconds:.1f} s"
    )
    return [*lines, _cut(ran, COLUMNS - LABEL)]


def _found(certificate: Certificate) -> list[str]:
    found = [f"{name} = {told(value)}" for name, value in certificate.diagnosis.items()]
    lines = _wrapped(", ".join(found), 2, COLUMNS - LABEL) if found else []
    told_of = [*certificate.implementation["notes"], *notes(certificate.laws)]
    return [*lines, *(_cut(line, COLUMNS - LABEL) for line in told_of)]


def _not_judged(certificate: Certificate) -> list[str]:
    reasons: dict[str, int] = {}
    for result in certificate.laws:
        if result.status in ("skipped", "blocked"):
            reasons[result.reason] = reasons.get(result.reason, 0) + 1
    ordered = sorted(reasons.items(), key=lambda item: (not item[0].startswith(NOT_RUN), -item[1]))
    return [_cut(f"{n} law{'s' * (n > 1)}: {why}", COLUMNS - LABEL) for why, n in ordered]


def _labelled(label: str, lines: Iterable[str]) -> Iterator[Text]:
    for line in lines:
        yield Text(f"{label:{LABEL}}", style="dim") + Text(line, style=STYLES.get(label, "default"))
        label = ""


def _shortened(lines: list[str], most: int) -> list[str]:
    return lines if len(lines) <= most else [*lines[: most - 1], f"and {len(lines) - most + 1} more"]


def _wrapped(text: str, most: int, width: int = COLUMNS) -> list[str]:
    lines = [line.plain.rstrip() for line in Text(_seen(text)).wrap(Console(width=width), width)] or [""]
    return lines if len(lines) <= most else [*lines[: most - 1], _cut(f"{lines[most - 1]} ...", width)]


def _cut(text: str, width: int = COLUMNS) -> str:
    text = _seen(text)
    return text if cell_len(text) <= width else f"{set_cell_size(text, width - 4).rstrip()} ..."


def _seen(text: str) -> str:
    """In one line, with nothing in it that moves the cursor or cannot be seen: a subject names itself as it likes."""
    return visible(re.sub(r"[^\S ]+", " ", text)).strip()
