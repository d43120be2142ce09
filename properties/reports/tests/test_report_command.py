"""Reports as options of a command: all at once, refused before any work where they cannot be written."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sdtps_ref import optional_libraries
from sdtps_ref.__main__ import main
from sdtps_ref.properties.certificates.certificate import Certificate
from sdtps_ref.properties.reports.formats import FORMATS, write_reports
from sdtps_ref.properties.reports.record import record

LAW = ("--law", "decision.forward_is_hard")


def test_certify_writes_all_formats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From one run; and `report` makes the same ones from the record."""
    written = {name: tmp_path / name for name in FORMATS}
    again = {name: tmp_path / f"{name}.again" for name in FORMATS if name != "json"}
    wanted = [part for name, path in written.items() for part in (f"--{name}", str(path))]

    status = main(["certify", *LAW, "--in-process", *wanted])
    asked = [part for name, path in again.items() for part in (f"--{name}", str(path))]
    later = main(["report", str(written["json"]), *asked])

    assert (status, later) == (0, 0), capsys.readouterr().out
    assert json.loads(written["json"].read_text())["verdict"] == "certified"
    assert all(written[name].read_text() == path.read_text() for name, path in again.items())


@pytest.mark.parametrize("name", FORMATS)
def test_a_folder_that_is_not_there_is_refused_first(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2 in one line before the target is even looked for."""
    status = main(["certify", "no_such_module:Mine", f"--{name}", "/no/such/folder/file"])

    said = capsys.readouterr().err
    assert status == 2
    assert said.strip().splitlines() == [
        f"sdtps certify: given --{name} /no/such/folder/file; accepted: a file in a folder that exists"
    ]


def test_a_folder_and_a_file_given_twice_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither is a place where a report could be written without losing something."""
    folder = main(["certify", "no_such_module:Mine", "--html", str(tmp_path)])
    twice = main(["certify", "no_such_module:Mine", "--json", str(tmp_path / "a"), "--html", str(tmp_path / "." / "a")])

    said = capsys.readouterr().err
    assert (folder, twice) == (2, 2)
    assert "accepted: a file in a folder that exists" in said
    assert "for --json and for --html; accepted: a file for each" in said


@pytest.mark.parametrize(("name", "library"), [("html", "jinja2"), ("html", "matplotlib"), ("junit", "junitparser")])
def test_a_missing_library_is_told_first(
    name: str, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line that says what brings it, before any law is judged."""

    def absent(asked_for: str) -> None:
        assert asked_for != library or _lacks(library)

    monkeypatch.setattr(optional_libraries, "import_module", absent)

    status = main(["certify", "no_such_module:Mine", f"--{name}", str(tmp_path / "out")])

    said = capsys.readouterr().err
    assert status == 2
    assert said.strip() == (
        f"sdtps certify: --{name} needs {library}, which is not installed: pip install 'sdtps-ref[report]' brings it"
    )


def _lacks(library: str) -> bool:
    raise ModuleNotFoundError(f"No module named {library!r}", name=library)


def test_one_that_cannot_be_written_loses_no_other(measured: Certificate, tmp_path: Path) -> None:
    """A full disk or a folder that went away: the line says which, the others are written."""
    gone, kept = tmp_path / "gone" / "page.html", tmp_path / "badge.json"

    problems = write_reports(measured, {"html": gone, "badge": kept})

    assert len(problems) == 1 and f"--html {gone} could not be written: No such file" in problems[0]
    assert kept.read_text()


def test_report_prints_where_nothing_is_to_be_written(
    measured: Certificate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The stored certificate as `certify` printed it; exit 0, since reading it is what was asked."""
    path = tmp_path / "certificate.json"
    path.write_text(record(measured))

    status = main(["report", str(path)])

    said = capsys.readouterr().out
    assert status == 0
    assert "REFUSED by noise.is_gumbel" in said and "\nfix       " in said


def test_a_law_of_another_version_is_reported(measured: Certificate, tmp_path: Path, capsys) -> None:
    """A record of another version of the suite may name laws that this one does not know."""
    path = tmp_path / "certificate.json"
    laws = tuple(replace(r, id=f"{r.id}_as_it_was") for r in measured.laws)
    environment = measured.environment | {"suite": "0.0.1"}
    path.write_text(record(replace(measured, laws=laws, environment=environment)))

    status = main(["report", str(path), "--html", str(tmp_path / "page"), "--markdown", str(tmp_path / "text")])
    printed = main(["report", str(path)])

    assert (status, printed) == (0, 0)
    assert "noise.is_gumbel_as_it_was" in (tmp_path / "page").read_text()


def test_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """As JSON, to be kept or piped."""
    status = main(["schema"])

    published = json.loads(capsys.readouterr().out)
    assert status == 0
    assert published["$schema"] == "https://json-schema.org/draft/2020-12/schema"
