"""What somebody else calls himself or says cannot forge a line of ours, nor command a terminal."""

import re
from dataclasses import replace

import pytest

from properties.reports.tests.conftest import failure
from sdtps_ref.command_line.messages import results_console
from sdtps_ref.properties.certificates.certificate import Certificate, LawResult
from sdtps_ref.properties.reports.console import law_line, print_summary, quiet_line
from sdtps_ref.properties.reports.first_screen import first_screen
from sdtps_ref.properties.reports.junit import junit
from sdtps_ref.properties.reports.markdown import markdown
from sdtps_ref.visible import visible, visible_lines

FORGED = "mine\n\x1b[2J\x1b[1;32mCERTIFIED, level full\x1b[0m\r\n::error::x\u2028CERTIFIED, level full\u202e\x85"
LONG = "a" * 100_000


def forged(certificate: Certificate) -> Certificate:
    """The certificate of a subject that says so wherever it can say anything."""
    broken = replace(failure("", FORGED), message=FORGED, traceback=f"Traceback: {FORGED}")
    laws = (
        LawResult("decision.forward_is_hard", "MUST", "failed", examples=1, failure=broken),
        LawResult("decision.keeps_top_k", "MUST", "error", reason=FORGED),
        LawResult("runtime.compiles", "SHOULD", "skipped", reason=FORGED, notes=(FORGED, LONG)),
    )
    about = {"name": FORGED, "target": FORGED, "notes": [FORGED, LONG], "adapters": [FORGED]}
    return Certificate(certificate.implementation | about, certificate.environment | {"laws": "all"}, laws)


@pytest.mark.parametrize("verbose", [False, True])
def test_no_line_of_ours_is_forged(measured: Certificate, capsys: pytest.CaptureFixture[str], verbose: bool) -> None:
    """Neither a line that begins like a verdict or an order to the CI system, nor a raw escape, nor an endless one."""
    certificate = forged(measured)
    console = results_console()

    for result in certificate.laws:
        console.print(law_line(result), soft_wrap=True)
    print_summary(console, certificate, verbose=verbose)
    console.print(quiet_line(certificate), soft_wrap=True)

    printed = capsys.readouterr().out
    assert not re.search(r"^\s*(CERTIFIED|::)", printed, re.MULTILINE)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u202e]", printed)
    assert max(map(len, printed.splitlines())) < 10_000


def test_the_last_screen_stays_a_screen(measured: Certificate) -> None:
    """Whatever is in it, 25 lines of 80 columns."""
    lines = first_screen(forged(measured))

    assert len(lines) <= 25
    assert all(len(line.plain) <= 80 and line.plain.isprintable() for line in lines)


@pytest.mark.parametrize("made", [markdown, junit])
def test_no_line_of_a_summary_is_forged(measured: Certificate, made: object) -> None:
    """In a file for other programs too."""
    text = made(forged(measured))

    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u202e]", text)
    assert not re.search(r"^\s*(CERTIFIED|::)", text, re.MULTILINE)


def test_the_console_lets_no_escape_out_but_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """Even of text that nobody made visible before."""
    results_console().print(f"[bold]{FORGED}", soft_wrap=True)

    assert "\x1b[2J" not in capsys.readouterr().out


def test_visible_is_one_line_and_short() -> None:
    """Newlines are shown, and a long text keeps its beginning and its end."""
    shown = visible(f"begin{LONG}end")

    assert visible("a\nb\tc\u2028d\udcff é") == "a\\nb\\tc\\u2028d\\udcff é"
    assert len(shown) <= 1000
    assert shown.startswith("begin") and shown.endswith("end") and "characters" in shown
    assert visible_lines("a\n\x1b[31mb") == "a\n\\x1b[31mb"
