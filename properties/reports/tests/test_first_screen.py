"""The last screen of a run: short enough to stay on a terminal, in an order that does not hide what matters."""

import unicodedata
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from properties.reports.tests.conftest import HOSTILE
from sdtps_ref.properties import check_implementation
from sdtps_ref.properties.certificates.cause import Cause
from sdtps_ref.properties.certificates.certificate import Certificate, LawResult
from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.reports.console import quiet_line
from sdtps_ref.properties.reports.first_screen import COLUMNS, LINES, first_screen, print_first_screen
from sdtps_ref.properties.selftest.planted.baseline import Plain

LINE = SourceLine("/home/somebody/model/pick.py", 81, "weight = weight - (1 - keep_policy) * 1e10")
GAIN = Cause(
    "call.gain_is_about_one",
    "the mask multiplies the gradient of the score by 1e+10",
    ("call.gain_is_about_one", "gradient.well_conditioned"),
    effect="SGD diverges",
    fix="weight = weight + keep_policy.log()",
    training="gain 1e+10",
    where=LINE,
)
LONG = " ".join(["word"] * 200)


@pytest.fixture(scope="module")
def right() -> Certificate:
    """Of an implementation that two laws were asked about."""
    return check_implementation(Plain(), laws=["shape"], reproduce=False, isolated=False)


@pytest.fixture
def wrong(measured: Certificate) -> Certificate:
    """Refused, with a cause whose line is known, and a law that was not asked."""
    left = LawResult("runtime.compiles", "SHOULD", "skipped", reason="no time for budget 'compile'")
    return replace(measured, causes=(GAIN, *measured.causes), laws=(*measured.laws, left))


@pytest.fixture
def crowded(every: Certificate) -> Certificate:
    """More of everything than a screen holds."""
    cause = replace(GAIN, sentence=LONG, effect=LONG, fix=LONG, alternative=LONG, explains=(*GAIN.explains, LONG))
    told = every.implementation | {"adapters": [LONG] * 9, "notes": [f"note {i}" for i in range(40)]}
    left = tuple(LawResult(f"left.{i}", "MUST", "skipped", reason=f"reason {i}") for i in range(30))
    return replace(every, causes=(cause,) * 40, implementation=told, laws=(*every.laws, *left))


@pytest.fixture
def odd(hostile: Certificate) -> Certificate:
    """Of a subject that puts escapes, newlines and wide characters into all that it may say or be called."""
    said = f"{HOSTILE}\nREFUSED\u2028\r\n{'宽' * 90}\t"
    cause = Cause(said, said, (said,), said, said, said, said, SourceLine(said, 3, said))
    told = hostile.implementation | {"name": said, "notes": [said] * 3, "adapters": [said]}
    left = LawResult("shape.follows_inputs", "MUST", "skipped", reason=said)
    return replace(hostile, causes=(cause, cause), implementation=told, laws=(*hostile.laws[1:], left))


def unmeasured(certificate: Certificate) -> Certificate:
    """The certificate of a run in which nothing was measured, for a long reason."""
    return replace(certificate, laws=(LawResult("shape.follows_inputs", "MUST", "error", reason=LONG),))


def printed(certificate: Certificate, written: tuple[str, ...] = ()) -> list[str]:
    """The lines of the screen."""
    return [line.plain for line in first_screen(certificate, written)]


@pytest.mark.parametrize("which", ["right", "wrong", "every", "crowded", "odd", "nothing"])
@pytest.mark.parametrize("written", [(), tuple(f".sdtps/pick.{i}.json" for i in range(20))])
def test_it_fits_a_terminal(which: str, written: tuple[str, ...], request: pytest.FixtureRequest) -> None:
    """25 lines of 80 columns, wide characters counted as they are shown, and the verdict on the first of them."""
    if which == "nothing":
        certificate = unmeasured(request.getfixturevalue("crowded"))
    else:
        certificate = request.getfixturevalue(which)

    lines = printed(certificate, written)

    assert len(lines) <= LINES == 25
    assert max(map(cell_len, lines)) <= COLUMNS == 80
    assert lines[0].startswith(("CERTIFIED, ", "REFUSED by ", "NOTHING MEASURED: "))


@pytest.mark.parametrize("which", ["odd", "hostile"])
def test_a_subject_moves_no_cursor(
    which: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    """No control character, no direction mark and no line break of its own is printed; what it says is readable."""
    certificate = request.getfixturevalue(which)

    print_first_screen(Console(markup=False, highlight=False), certificate)

    said = capsys.readouterr().out + quiet_line(certificate).plain
    unseen = {c for c in said if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn")}
    assert unseen == set()
    assert len(said.splitlines()) == 1 + len(printed(certificate)) + 1
    assert "document.title" in said


def test_the_cause_comes_first(wrong: Certificate) -> None:
    """After the verdict and both answers: the cause, its line as it stands in the file, effect, fix, laws."""
    lines = printed(wrong)

    assert lines[1].endswith("will train: no, gain 1e+10")
    assert lines[2:7] == [
        "cause     the mask multiplies the gradient of the score by 1e+10",
        "            pick.py:81   weight = weight - (1 - keep_policy) * 1e10",
        "          SGD diverges",
        "fix       weight = weight + keep_policy.log()",
        "explains  call.gain_is_about_one, gradient.well_conditioned",
    ]
    assert [line.split()[0] for line in lines[7:] if line[0] != " "] == ["also", "judged", "found", "not"]


def test_what_is_cut_is_counted(crowded: Certificate) -> None:
    """Lists are cut before verdict, cause and fix are; each says how much more there is, and nothing lacks a label."""
    lines = printed(crowded, (".sdtps/pick.json",))

    first = next(i for i, line in enumerate(lines) if line.startswith("conforms: "))
    labels = [line.split()[0] for line in lines[first + 1 :] if line[0] != " "]
    assert labels == ["cause", "fix", "explains", "also", "judged", "found", "not", "written"]
    assert sum(line.strip().startswith("and ") or " and " in line[:14] for line in lines) >= 2
    assert lines[-1] == "written   .sdtps/pick.json"


def test_two_answers(right: Certificate) -> None:
    """Whether it conforms and whether it will train are said apart; a certificate without causes has neither a fix."""
    lines = printed(right)

    assert lines[1].startswith("conforms: yes, ")
    assert lines[1].endswith("will train: nothing speaks against it")
    assert not any(line.startswith(("cause", "fix", "also")) for line in lines)


def test_known_failures_keep_their_link(every: Certificate) -> None:
    """Who reads that a law was expected to fail is told where more is to be read, however long the reason."""
    said = " ".join(" ".join(printed(every)).split())

    assert "expected to fail: errors.nan_scores: known since spring (https://example.org/7)" in said
