"""Findings beside the code: annotations of a job, and SARIF."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from properties.reports.tests.conftest import HOSTILE
from sdtps_ref.__main__ import main
from sdtps_ref.properties.certificates.cause import Cause
from sdtps_ref.properties.certificates.certificate import Certificate
from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.reports.findings import findings
from sdtps_ref.properties.reports.github import github
from sdtps_ref.properties.reports.sarif import sarif


@pytest.fixture
def found(measured: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Certificate:
    """With a cause on a line below the current folder, one outside, and one without a line."""
    monkeypatch.chdir(tmp_path)
    gain = Cause(
        "call.gain_is_about_one",
        "100% of it: the mask multiplies",
        ("call.gain_is_about_one",),
        effect="SGD diverges",
        fix="logits + D.log()",
        training="gain 1e+10",
        where=SourceLine(str(tmp_path / "model" / "my pick.py"), 81, "x = 1"),
    )
    outside = Cause("noise.is_fresh", "one row", ("noise.is_fresh",), where=SourceLine("/elsewhere/a,b.py", 3, "y"))
    nowhere = Cause("several.laws", "no line is known", ("noise.is_gumbel",))
    return replace(measured, causes=(gain, outside, nowhere))


def test_annotations_stand_on_the_users_lines(found: Certificate) -> None:
    """An error where training suffers or a law refuses, else a warning; what the runner would misread is escaped."""
    assert github(found).splitlines() == [
        "::error title=sdtps%3A call.gain_is_about_one,file=model/my pick.py,line=81::"
        "100%25 of it: the mask multiplies. SGD diverges. Fix: logits + D.log()",
        "::warning title=sdtps%3A noise.is_fresh,file=/elsewhere/a%2Cb.py,line=3::one row.",
        "::error title=sdtps%3A several.laws::no line is known.",
    ]


def test_a_cause_without_a_line_stands_in_the_file_that_was_certified(found: Certificate) -> None:
    """By its first line: a review shows findings beside files alone."""
    certified = replace(found, implementation=found.implementation | {"target": "model/adapter.py:Mine"})

    assert [(f.file, f.line) for f in findings(certified)][2] == ("model/adapter.py", 1)


def test_a_verdict_without_a_cause_is_annotated(found: Certificate) -> None:
    """Who certifies in a job must see in the review that nothing was measured."""
    nothing = replace(found, causes=(), laws=())

    assert github(nothing).startswith("::error title=sdtps::NOTHING MEASURED")
    assert github(replace(found, causes=(), laws=found.laws[:1])) == ""


def test_sarif_has_a_rule_and_a_place_for_each(found: Certificate) -> None:
    """Every result names its rule by id and index, its level, and its place by URI and line."""
    log = json.loads(sarif(found))

    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    places = [result.get("locations", [None])[0] for result in run["results"]]
    assert (log["version"], run["tool"]["driver"]["name"]) == ("2.1.0", "sdtps")
    assert [rules[result["ruleIndex"]]["id"] for result in run["results"]] == [r["ruleId"] for r in run["results"]]
    assert [result["level"] for result in run["results"]] == ["error", "warning", "error"]
    assert rules[0]["shortDescription"]["text"] and "help" not in rules[2]
    assert places[0]["physicalLocation"] == {
        "artifactLocation": {"uri": "model/my%20pick.py"},
        "region": {"startLine": 81, "snippet": {"text": "x = 1"}},
    }
    assert places[1]["physicalLocation"]["artifactLocation"]["uri"] == "file:///elsewhere/a%2Cb.py"
    assert places[2] is None


def test_a_subject_gives_the_runner_no_command(hostile: Certificate) -> None:
    """What it says begins no line, and nothing invisible is left in it."""
    said = f"::error::forged\n::add-mask::x\r\n{HOSTILE}"
    cause = Cause(said, said, (said,), said, said, where=SourceLine(f"/x/{said}.py", 3, said))

    lines = github(replace(hostile, causes=(cause,))).splitlines()

    assert len(lines) == 1
    assert lines[0].startswith("::warning title=sdtps%3A ")
    assert lines[0].isprintable()
    assert sarif(replace(hostile, causes=(cause,))).isascii()


def test_nothing_printed_while_judging_is_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--format github` stops commands before the subject says anything, and starts them again by a secret word."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "theirs.py").write_text(
        "from sdtps_ref.properties.selftest.planted.baseline import Plain\n"
        "class Mine(Plain):\n    name = '::error::forged'\n    def join(self, hard, soft):\n        return hard\n"
    )

    status = main(
        ["certify", "theirs.py:Mine", "--law", "gradient.reaches_score", "--format", "github", "--in-process"]
    )

    first, *told = capsys.readouterr().out.splitlines()
    word = first.removeprefix("::stop-commands::")
    resumed = told.index(f"::{word}::")
    assert status == 1
    assert any("forged" in line for line in told[:resumed])
    assert [line.partition("::")[2].partition(" ")[0] for line in told[resumed + 1 :]] == ["error"]
    assert ",file=theirs.py,line=" in told[-1]
