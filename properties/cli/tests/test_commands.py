"""The command line as its user meets it: exit statuses, one-line errors, and where time goes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sdtps_ref.__main__ import main

RIGHT = """
from sdtps_ref.properties.selftest.planted.baseline import Plain

class Mine(Plain):
    name = "mine"

mine = Mine()

class Detached(Plain):
    name = "detached"
    def join(self, hard, soft):
        return hard

class Raising(Plain):
    def select(self, *a):
        raise RuntimeError("tokens come in as B C H W")
    aggregate = select

class Nothing:
    pass

class Picky:
    def __init__(self, config):
        self.selector = None
"""


def sdtps(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """One run of the command, as a process of its own."""
    environment = os.environ | {"COLUMNS": "200"}
    command = [sys.executable, "-m", "sdtps_ref", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with right and wrong implementations, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = tmp_path / "mine.py"
    path.write_text(RIGHT)
    return path


@pytest.mark.slow
def test_certify_without_a_target_certifies_the_reference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The bundled reference passes with the mask that trains, and the published one's gain is told beside it."""
    status = main(["certify", "--profile", "quick", "--json", str(tmp_path / "cert.json")])

    record = json.loads((tmp_path / "cert.json").read_text())
    said = capsys.readouterr().out
    screen, _, beside = said.partition("beside it, ")
    assert status == 0, said
    assert "CERTIFIED, level full" in screen and "will train: nothing speaks against it" in screen
    assert "gain = 1," in screen and "warning  gradient" not in screen
    assert "will train: no, gain 1e+10" in beside
    assert record["verdict"] == "certified"
    # What a quick run costs is counted and not timed, so that a busy machine does not fail it.
    assert sum(law["examples"] for law in record["laws"]) < 1500


@pytest.mark.slow
def test_certify_takes_a_file_and_a_module(module: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A class by path, as a program, from its command line on; an object by module name from the current folder."""
    by_path = sdtps("certify", f"{module}:Mine", "--law", "decision.forward_is_hard")
    by_name = main(["certify", "mine:mine", "--law", "decision.forward_is_hard", "--in-process"])

    assert (by_path.returncode, by_name) == (0, 0), by_path.stdout + capsys.readouterr().out
    assert "CERTIFIED, in part: by decision.forward_is_hard alone" in by_path.stdout


def test_a_wrong_one_is_refused(module: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1; the law, the message, the case and a script that was run, which is a file as well."""
    status = main(["certify", f"{module}:Detached", "--law", "gradient.reaches_score", "--verbose"])

    said = capsys.readouterr().out
    assert status == 1, said
    assert "REFUSED by gradient.reaches_score" in said
    assert "the score is never trained" in said
    assert "script (run, and it shows this):" in said
    assert [path.name for path in (module.parent / ".sdtps").rglob("*.py")] == ["gradient.reaches_score.py"]


@pytest.mark.slow
def test_one_that_raises_is_an_error_in_one_line(module: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, the reason in one line, a traceback only when asked for."""
    asked = ["certify", f"{module}:Raising", "--law", "decision.forward_is_hard", "--in-process"]
    statuses = [main(asked)]
    plain = capsys.readouterr()
    statuses.append(main([*asked, "--verbose"]))
    verbose = capsys.readouterr()

    assert statuses == [2, 2], plain.out
    assert "NOTHING MEASURED: selector raised RuntimeError: tokens come in as B C H W" in plain.out
    assert "Traceback" not in plain.out + plain.err
    assert "Traceback" in verbose.out


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("{folder}/broken.py:Mine", "is not Python"),
        ("{folder}/mine.py:Yours", "has no attribute 'Yours'; it offers Mine, mine, Detached"),
        ("{folder}/mine.py:Nothing", "none of the contract's methods"),
        ("{folder}/mine.py:Picky", "raised TypeError"),
        ("{folder}/absent.py:Mine", "there is no file"),
        ("{folder}/quits.py:Mine", "raised SystemExit"),
        ("no_such_package:Mine", "could not be imported"),
        ("no_such_name", "accepted: package.module:attribute"),
    ],
)
def test_a_bad_target_gets_one_line(module: Path, target: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2 and one line that says why; no traceback."""
    (module.parent / "broken.py").write_text("class Mine(:\n")
    (module.parent / "quits.py").write_text("raise SystemExit('bye')\n")

    status = main(["certify", target.format(folder=module.parent), "--in-process"])

    said = capsys.readouterr()
    assert status == 2
    assert says in said.err
    assert said.out == "" and len(said.err.strip().splitlines()) == 1
    assert "Traceback" not in said.err


def test_a_childs_answer_is_told_like_ones_own(module: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the target is loaded in a child process the line is the same."""
    lines = []
    for where in ((), ("--in-process",)):
        assert main(["certify", f"{module}:Nothing", *where]) == 2
        lines.append(capsys.readouterr())

    assert lines[0] == lines[1]
    assert lines[0].err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("certify", "--law", "decision.is_nice"), "given law 'decision.is_nice'"),
        (("certify", "--json", "/no/such/folder/cert.json"), "accepted: a file in a folder that exists"),
        (("certify", "--profile", "fast"), "given --profile fast; accepted: quick, ci, deep"),
        (("explain", "nothing"), "given law 'nothing'"),
        (("praise",), "given command 'praise'"),
        ((), "Usage: sdtps [OPTIONS] COMMAND"),
    ],
)
def test_bad_arguments_exit_2(arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Unknown laws, commands and profiles, and a place that cannot be written to, are said before any work."""
    status = main(list(arguments))

    said = capsys.readouterr()
    assert status == 2
    assert says in said.out + said.err


def test_laws_and_explain_tell_all(capsys: pytest.CaptureFixture[str]) -> None:
    """`laws` has a line a law; `explain` prints the four parts of its docstring."""
    main(["laws"])
    listed = capsys.readouterr().out
    main(["explain", "decision.forward_is_hard"])
    explained = capsys.readouterr().out

    assert "decision.forward_is_hard" in listed and "SHOULD" in listed
    for part in ("Claim: ", "Why: ", "Breaks when: ", "Remedy: "):
        assert part in explained


@pytest.mark.slow
def test_jobs_change_nothing_but_the_time(module: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same statuses, examples and classes, whether laws are tried one by one or two at a time."""
    records = []
    for jobs in ("1", "2"):
        path = tmp_path / f"{jobs}.json"
        asked = ["certify", f"{module}:Mine", "--law", "decision.keeps_top_k", "--law", "selection.gathers_kept_tokens"]
        assert main([*asked, "--jobs", jobs, "--json", str(path)]) == 0, capsys.readouterr().out
        records.append(json.loads(path.read_text()))

    one, two = ([(r["id"], r["status"], r["examples"], r["classes"]) for r in record["laws"]] for record in records)
    assert one == two


@pytest.mark.slow
def test_what_takes_its_process_down_leaves_a_certificate(tmp_path: Path) -> None:
    """Exit status 1, every law with its status, no traceback of ours; and the laws that it does not disturb passed."""
    (tmp_path / "mine.py").write_text(
        RIGHT
        + """
import os

class Deadly(Mine):
    def soft(self, *a):
        os.abort()
    def pipeline(self, **sizes):
        raise NotImplementedError
"""
    )

    done = sdtps(
        "certify",
        "mine.py:Deadly",
        *("--law", "aggregation.is_convex", "--law", "decision.keeps_top_k"),
        *("--json", "c.json"),
        cwd=tmp_path,
    )

    record = json.loads((tmp_path / "c.json").read_text())
    assert "Traceback" not in done.stdout + done.stderr
    assert "the process died of SIGABRT, in soft (mine.py, line " in done.stdout
    assert done.returncode == {"refused": 1, "error": 2}[record["verdict"]]
    assert {law["status"] for law in record["laws"]} <= {"error", "blocked", "skipped", "passed"}
