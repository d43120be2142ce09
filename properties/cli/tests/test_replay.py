"""Replay and verify: what was stored is run again, and what differs is said."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from properties.cli.tests.conftest import LAWS
from sdtps_ref.__main__ import main
from sdtps_ref.properties.certificates.certificate import Certificate
from sdtps_ref.properties.reports.record import record

LAW = LAWS[0]
RIGHT = "sdtps_ref.properties.selftest.planted.baseline:Plain"


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """What a command printed, results and errors."""
    return "".join(capsys.readouterr())


def with_laws(certificate: Certificate, **changes: object) -> Certificate:
    """The certificate with its failed law changed."""
    laws = tuple(replace(r, **changes) if r.id == LAW else r for r in certificate.laws)
    return replace(certificate, laws=laws)


def test_replay_fails_again(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The stored case fails on the same target, with the same words, and nothing is said of its file."""
    status = main(["replay", str(stored), LAW])

    printed = said(capsys)
    assert status == 1
    assert "FAILS AGAIN, with the same words" in printed
    assert "decision[b=0" in printed and "at B=" in printed
    assert "sha256" not in printed


def test_replay_passes_on_what_was_mended(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 0, what it said then, and that the file is another one."""
    status = main(["replay", str(stored), LAW, "--target", RIGHT, "--in-process"])

    printed = said(capsys)
    assert status == 0
    assert "PASSES NOW" in printed and "then: decision[b=0" in printed
    assert "the target's file is not what was certified" in printed


def test_replay_tells_other_words(certificate: Certificate, stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A failure that changed is no failure that was reproduced: both messages are told."""
    failure = next(r.failure for r in certificate.laws if r.id == LAW)
    stored.write_text(record(with_laws(certificate, failure=replace(failure, message="it was worse"))))

    status = main(["replay", str(stored), LAW, "--in-process"])

    printed = said(capsys)
    assert status == 1
    assert "FAILS AGAIN, with other words" in printed
    assert "now: decision[b=0" in printed and "then: it was worse" in printed


@pytest.mark.parametrize(
    ("law", "says"),
    [
        (LAWS[1], f"which is blocked in it and stores no case; accepted: a law that failed: {LAW}"),
        ("decision.is_nice", "which is not in it"),
    ],
)
def test_replay_needs_a_stored_case(stored: Path, law: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, and which laws have one."""
    status = main(["replay", str(stored), law])

    assert status == 2
    assert says in said(capsys)


def test_replay_needs_the_device(certificate: Certificate, stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A case of a device that is not here is not replayed on another one."""
    failure = next(r.failure for r in certificate.laws if r.id == LAW)
    elsewhere = replace(failure, case=replace(failure.case, device="hpu"))
    stored.write_text(record(with_laws(certificate, failure=elsewhere)))

    status = main(["replay", str(stored), LAW])

    assert status == 2
    assert "needs device 'hpu', which torch does not have here" in said(capsys)


@pytest.mark.slow
def test_one_that_hangs_now_is_told(stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A case is replayed in a process of its own: what hangs there is ended, and fails with other words."""
    path = tmp_path / "hangs_in_replay.py"
    path.write_text("import time\nclass Mine:\n    def selector(self, **sizes):\n        time.sleep(100)\n")

    status = main(["replay", str(stored), LAW, "--target", f"{path}:Mine", "--time-limit", "1"])

    printed = said(capsys)
    assert status == 1
    assert "FAILS AGAIN, with other words" in printed and "1 s" in printed


def test_an_object_has_no_place(certificate: Certificate, stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was certified in memory needs a target to be replayed or rerun on."""
    stored.write_text(record(replace(certificate, implementation=certificate.implementation | {"target": None})))

    statuses = main(["replay", str(stored), LAW]), main(["verify", str(stored), "--rerun"])

    assert statuses == (2, 2)
    assert said(capsys).count("accepted: --target TARGET") == 2


def test_a_target_that_is_gone_is_one_line(stored: Path, forged: Callable, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, with what the loading says."""
    forged(lambda record: record["implementation"].update(target="gone.py:Mine"))

    status = main(["replay", str(stored), LAW, "--in-process"])

    assert status == 2
    assert said(capsys).strip().endswith("sdtps replay: there is no file gone.py")


def test_verify_tells_a_whole_file(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 0, the verdict, and that a digest is no signature."""
    status = main(["verify", str(stored)])

    printed = said(capsys)
    assert status == 0
    assert f"whole, and agrees with itself: REFUSED by {LAW}" in printed
    assert "not who wrote it" in printed


def test_rerun_reproduces_the_verdict(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same laws on the same terms say the same: a refusal that is reproduced is exit 0."""
    status = main(["verify", str(stored), "--rerun", "--trust"])

    printed = said(capsys)
    assert status == 0
    assert f"REPRODUCED: REFUSED by {LAW}" in printed
    assert "was" not in printed.partition("REPRODUCED")[0].partition("\n")[2].replace("did not pass", "")


def test_rerun_imports_nothing_that_nobody_trusts(
    forged: Callable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A certificate can name any file: it is not imported until somebody says that the certificate is trusted."""
    trap, sprung = tmp_path / "trap_of_rerun.py", tmp_path / "sprung"
    trap.write_text(f"open({str(sprung)!r}, 'w').close()\nclass Mine: ...\n")
    path = forged(lambda record: record["implementation"].update(target=f"{trap}:Mine"))

    alone = main(["verify", str(path), "--rerun", "--in-process"])
    untouched, told = not sprung.exists(), capsys.readouterr()
    main(["verify", str(path), "--rerun", "--trust", "--in-process"])

    assert alone == 2
    assert untouched
    assert "accepted: --target TARGET" in told.err and "trap_of_rerun.py" in told.err
    assert sprung.exists()
    assert "because of --trust" in capsys.readouterr().out


def test_rerun_tells_a_forged_verdict(certificate: Certificate, stored: Path, capsys) -> None:
    """A failure that was turned into a pass agrees with itself and with its digest; only the rerun tells."""
    clean = replace(
        certificate,
        laws=tuple(replace(r, status="passed", reason="", examples=26, failure=None) for r in certificate.laws),
    )
    stored.write_text(record(clean))

    alone, rerun = main(["verify", str(stored)]), main(["verify", str(stored), "--rerun", "--trust", "--in-process"])

    printed = said(capsys)
    assert (alone, rerun) == (0, 1)
    assert f"{LAW} was passed, is failed: decision[b=0" in printed
    assert "NOT REPRODUCED: REFUSED" in printed


def test_rerun_tells_what_is_another_now(forged: Callable, capsys: pytest.CaptureFixture[str]) -> None:
    """Another torch and another file are told beside the verdict."""

    def change(record: dict) -> None:
        record["environment"]["torch"] = "1.0"
        record["implementation"]["sha256"] = None

    path = forged(change)

    main(["verify", str(path), "--rerun", "--trust", "--in-process"])

    printed = said(capsys)
    assert "torch was 1.0, is " in printed
    assert "the target's file is not what was certified" in printed


def test_rerun_needs_a_profile_of_that_name(forged: Callable, capsys: pytest.CaptureFixture[str]) -> None:
    """A profile that was the caller's own cannot be told from its name."""
    path = forged(lambda record: record["environment"].update(profile="mine"))

    status = main(["verify", str(path), "--rerun", "--trust"])

    assert status == 2
    assert "profile 'mine' is the caller's own; accepted: quick, ci, deep" in said(capsys)
