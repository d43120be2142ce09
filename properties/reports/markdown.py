"""Markdown for the summary of a pull request: short, with the scripts folded away."""

import re
from collections.abc import Iterable

from sdtps_ref.properties.certificates.certificate import Certificate, LawResult
from sdtps_ref.properties.certificates.visible import with_all_visible
from sdtps_ref.properties.reports.wording import (
    MEANINGS,
    SCRIPT_WAS,
    counts,
    expectation,
    notes,
    remarkable,
    remedy,
    told,
    unjudged,
    verdict_words,
    where,
    why,
    word,
)

LONGEST = 60_000  # characters; a comment on GitHub ends at 65,536
CELL = 160  # characters of a message in a table
SIGNS = {"certified": "✅", "refused": "❌", "error": "⚠️"}
SPECIAL = re.compile(r"[^\w .,;()=+-]", re.ASCII)


def markdown(certificate: Certificate) -> str:
    """Verdict, a table of what was not passed, then each failure's message, case, remedy and script."""
    certificate = with_all_visible(certificate)
    with_scripts = _text(certificate, scripts=True)
    return with_scripts if len(with_scripts) <= LONGEST else _text(certificate, scripts=False)


def code(text: str) -> str:
    """Text of somebody else's in a line or a table cell: shown as it is, and nothing in it is Markdown or HTML."""
    return f"<code>{SPECIAL.sub(lambda c: f'&#{ord(c[0])};', ' '.join(text.split()))}</code>"


def fenced(text: str, language: str = "") -> str:
    """Text of somebody else's as a block of its own, between fences that are longer than any in it."""
    longest = max(map(len, re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of cells that are Markdown already."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(certificate: Certificate, *, scripts: bool) -> str:
    blocks = [
        f"### {SIGNS[certificate.verdict]} sdtps: {code(verdict_words(certificate))}",
        f"{code(certificate.implementation['name'])} on {code(where(certificate))}: {counts(certificate.laws)}.",
    ]
    if certificate.diagnosis:
        found = (f"{code(name)} = {code(told(value))}" for name, value in certificate.diagnosis.items())
        blocks.append(f"Read off the gradients: {', '.join(found)}.")
    blocks += [f"Note: {code(note)}" for note in notes(certificate.laws)]
    looked_at = list(remarkable(certificate))
    if looked_at:
        blocks.append(_laws(looked_at))
    left_out = list(unjudged(certificate))
    if left_out:
        blocks.append(_folded(f"{counts(left_out)}: not judged here", _laws(left_out)))
    for result in looked_at:
        blocks += _failure(result, scripts)
    return "\n\n".join(blocks) + "\n"


def _laws(results: Iterable[LawResult]) -> str:
    return table(
        ("law", "level", "", "why"),
        ((f"`{r.id}`", r.level, word(r), code(_short(why(r) or MEANINGS.get(r.status, "")))) for r in results),
    )


def _failure(result: LawResult, scripts: bool) -> list[str]:
    blocks = [f"#### {word(result)}: `{result.id}`", *([MEANINGS[result.status]] if result.status in MEANINGS else [])]
    blocks += [code(expectation(result))] if result.expected else []
    if result.failure is None:
        return [*blocks, fenced(result.reason)] if result.reason else blocks
    blocks.append(fenced(f"{result.failure.message}\nat {result.failure.case}"))
    blocks += [f"Remedy: {remedy(result)}"] if remedy(result) else []
    if not result.failure.script:
        return blocks
    if scripts:
        was = SCRIPT_WAS[result.failure.reproduced]
        return [*blocks, _folded(f"script ({was})", fenced(result.failure.script, "python"))]
    return [*blocks, "Its script is left out here, where there is room for so much only; the JSON has it."]


def _folded(summary: str, content: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{content}\n\n</details>"


def _short(text: str) -> str:
    return text if len(text) <= CELL else f"{text[:CELL]} ..."
