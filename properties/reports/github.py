"""Annotations for a job on GitHub: commands that the runner reads from standard output."""

from __future__ import annotations

import contextlib
import secrets
import sys
from collections.abc import Iterator

from sdtps_ref.properties.certificates.certificate import Certificate
from sdtps_ref.properties.certificates.visible import with_all_visible
from sdtps_ref.properties.reports.findings import Finding, findings
from sdtps_ref.properties.reports.wording import verdict_words

MOST = 10  # annotations of a kind that GitHub shows of a step


@contextlib.contextmanager
def commands_stopped() -> Iterator[None]:
    """Let the runner read nothing printed within as a command: a subject may say what it likes.

    What ends it is a word that the subject cannot know.
    """
    word = secrets.token_hex(16)
    sys.stdout.write(f"::stop-commands::{word}\n")
    sys.stdout.flush()
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stdout.write(f"::{word}::\n")


def github(certificate: Certificate) -> str:
    """A line a cause, on its line of the user's file; then one for a verdict that no cause explains."""
    certificate = with_all_visible(certificate)
    lines = [_line(finding) for finding in findings(certificate)]
    if not lines and certificate.verdict != "certified":
        lines = [f"::error title=sdtps::{_text(verdict_words(certificate))}"]
    return "".join(f"{line}\n" for line in lines[:MOST])


def _line(finding: Finding) -> str:
    told = {"title": f"sdtps: {finding.cause.kind}"}
    if finding.file is not None:
        told |= {"file": finding.file, "line": str(finding.line)}
    properties = ",".join(f"{name}={_property(value)}" for name, value in told.items())
    return f"::{'error' if finding.error else 'warning'} {properties}::{_text(finding.text)}"


def _text(text: str) -> str:
    """What the runner takes for text, and for no command of its own."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _text(text).replace(":", "%3A").replace(",", "%2C")
