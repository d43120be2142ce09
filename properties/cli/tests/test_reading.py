"""A stored certificate is read with suspicion: one line for whatever is wrong with it, and exit status 2."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sdtps_ref import optional_libraries
from sdtps_ref.__main__ import main
from sdtps_ref.properties.certificates.certificate import Certificate
from sdtps_ref.properties.certificates.reading import BadCertificate, read_certificate
from sdtps_ref.properties.reports.record import record


def test_what_was_written_is_read(certificate: Certificate, stored: Path) -> None:
    """The record comes back as it was."""
    read = read_certificate(stored)

    assert record(certificate) == record(read)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "ends in the middle"),
        (b'{"verdict": "certified", "laws": [', "ends in the middle"),
        (b"certified!", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "no certificate of sdtps"),
        (b'{"name": "left-pad"}', "no certificate of sdtps"),
        (b'{"laws": [], "environment": {}, "implementation": {}, "seconds": NaN}', "NaN is no number of JSON"),
        (b'{"laws": [], "environment": {}, "implementation": {}}', "has schema None; accepted: '1'"),
        (b'{"schema": "2", "laws": [], "environment": {}, "implementation": {}}', "has schema '2'; accepted: '1'"),
        (b'{"schema": "1", "laws": [], "environment": {}, "implementation": {}}', "is not as the schema has it"),
    ],
)
def test_a_foreign_file_gets_one_line(content: bytes, says: str, tmp_path: Path) -> None:
    """Whatever it is, the message is one line that names the file."""
    path = tmp_path / "foreign.json"
    path.write_bytes(content)

    with pytest.raises(BadCertificate) as caught:
        read_certificate(path)

    said = str(caught.value)
    assert says in said and str(path) in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("bytes_left", [10, 2000, -2])
def test_a_truncated_file_is_told(stored: Path, bytes_left: int) -> None:
    """Wherever it was cut."""
    stored.write_bytes(stored.read_bytes()[:bytes_left])

    with pytest.raises(BadCertificate, match=r"ends in the middle|is not JSON"):
        read_certificate(stored)


PACKED = [["normal", "constant", 0]] * 7  # more than any smallest failing case has samples


def _pass_it(changed: dict) -> None:
    changed["laws"][-2] |= {"status": "passed", "failure": None}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda record: record.update(verdict="certified"), "its verdict is 'certified'"),
        (lambda record: record.update(level="full"), "its level is 'full'"),
        (lambda record: record.update(diagnosis={"gain": 1.0}), "its diagnosis is"),
        (lambda record: record.update(tried=["K=1"]), "its tried is"),
        (_pass_it, "its verdict is 'refused'"),
        (lambda record: record["environment"].update(laws="all"), "it was held to all laws, but"),
        (lambda record: record["laws"].append(record["laws"][0]), "is in it twice"),
        (lambda record: record["laws"][0].update(level="SHOULD"), "is a SHOULD in it, but a MUST"),
        (lambda record: record["laws"][0].update(id="shape.is_nice"), "is no law of version"),
        (lambda record: record["laws"][0].update(examples=0), "passed on no example"),
        (lambda record: record["laws"][-1].update(reason=""), "no reason is told"),
        (lambda record: record["laws"][-1].update(examples=3), "but was judged"),
        (lambda record: record["laws"][-2].update(failure=None), "no failure is told"),
        (lambda record: record["laws"][-2]["failure"]["case"].update(drawn=[1.0]), "has 1 drawn scores for"),
        (lambda record: record["laws"][-2]["failure"]["case"].update(packed=PACKED), "in 7 equal parts"),
        (lambda record: record["not_tried"].append(record["tried"][0]), "was tried and was not"),
    ],
)
def test_what_contradicts_itself_is_refused(change: Callable, says: str, forged: Callable[..., Path]) -> None:
    """Also where whoever changed it renewed the digest."""
    path = forged(change)

    with pytest.raises(BadCertificate, match="contradicts itself") as caught:
        read_certificate(path)

    assert says in str(caught.value)


def test_a_changed_file_is_told_by_its_digest(forged: Callable[..., Path]) -> None:
    """A change that contradicts nothing is seen all the same."""
    path = forged(lambda record: record["environment"].update(torch="9.9"), renew=False)

    with pytest.raises(BadCertificate, match="was changed after it was written"):
        read_certificate(path)


def test_every_command_refuses_it(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2 and one line, whatever was to be done with the file."""
    stored.write_text("{")

    statuses = [
        main(["verify", str(stored)]),
        main(["replay", str(stored), "a.b"]),
        main(["merge", str(stored)]),
        main(["report", str(stored)]),
    ]

    lines = capsys.readouterr().err.splitlines()
    assert statuses == [2, 2, 2, 2]
    assert len(lines) == 4 and all("ends in the middle" in line for line in lines)


def test_a_name_with_controls_cannot_fake_lines(tmp_path: Path) -> None:
    """The file's name and what is read from it are made visible before they are printed."""
    path = tmp_path / "foreign\x1b[2J\nREPRODUCED.json"
    path.write_text(json.dumps({"schema": "\x1b[2J\nREPRODUCED", "laws": 0, "environment": 0, "implementation": 0}))

    with pytest.raises(BadCertificate) as caught:
        read_certificate(path)

    assert str(caught.value).isprintable()


def test_without_jsonschema_nothing_is_believed(
    stored: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that cannot be checked is not taken as it is: one line says what brings the library."""

    def absent(library: str) -> None:
        raise ModuleNotFoundError(f"No module named {library!r}", name=library)

    monkeypatch.setattr(optional_libraries, "import_module", absent)

    status = main(["verify", str(stored)])

    assert status == 2
    assert capsys.readouterr().err.strip() == (
        "sdtps verify: reading a certificate needs jsonschema, which is not installed: "
        "pip install 'sdtps-ref[report]' brings it"
    )


@pytest.mark.parametrize("digits", [30, 400, 5000])
def test_a_number_that_no_run_gives_is_refused(stored: Path, digits: int) -> None:
    """It would be larger than any float, and every report would stumble over it."""
    text = stored.read_text()
    stored.write_text(text.replace('"seed": 0', f'"seed": {"9" * digits}', 1))

    with pytest.raises(BadCertificate, match=rf"a number of {digits} digits; accepted: 20 at most"):
        read_certificate(stored)

    assert '"seed": 0' in text
