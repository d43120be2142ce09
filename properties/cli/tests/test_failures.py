"""Whatever goes wrong is told in one place: one line on standard error, and a status that no verdict has."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import click
import pytest

from sdtps_ref.__main__ import main
from sdtps_ref.command_line.command import command
from sdtps_ref.command_line.run import Terminated, exit_status, if_interrupted
from sdtps_ref.command_line.table import CommandTable
from sdtps_ref.errors import SDTPSError
from sdtps_ref.properties.engine.journal import Journal

SDTPS = [sys.executable, "-m", "sdtps_ref"]
slow = pytest.mark.slow


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The status of `sdtps fall ARGUMENTS`, a command that raises what is given."""

    def run(raised: BaseException, *arguments: str, before: tuple[str, ...] = ()) -> int:
        def fall() -> int:
            """Fall."""
            raise raised

        module = ModuleType("falling")
        module.fall = command()(fall)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "falling", module)
        verbose = click.Option(["--verbose"], is_flag=True, expose_value=False)
        table = CommandTable({"fall": ("falling:fall", "")}, {}, name="sdtps", params=[verbose])
        return exit_status(table, [*before, "fall", *arguments])

    return run


@pytest.mark.parametrize(
    ("raised", "status", "line"),
    [
        (SDTPSError("given x;\naccepted: y"), 2, "given x; accepted: y"),
        (TypeError("no\nsuch"), 2, "a defect of sdtps: TypeError: no such; `sdtps --verbose fall ...` shows where"),
        (AssertionError(), 2, "a defect of sdtps: AssertionError: ; `sdtps --verbose fall ...` shows where"),
        (RecursionError("deep"), 2, "a defect of sdtps: RecursionError: deep; `sdtps --verbose fall ...` shows where"),
        (OSError(28, "No space left on device", "c.json"), 2, "c.json: No space left on device"),
        (OSError(28, "No space left on device"), 2, "No space left on device"),
        (BrokenPipeError(32, "Broken pipe"), 2, "standard output was closed before all was written"),
        (MemoryError(), 2, "out of memory"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (Terminated(), 143, "terminated"),
    ],
)
def test_every_end_is_one_line(
    raised: BaseException, status: int, line: str, ending: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback, nothing on standard output, and never status 1, which says that something was refused."""
    ended = ending(raised)

    said = capsys.readouterr()
    assert (ended, said.out, said.err) == (status, "", f"sdtps fall: {line}\n")


def test_a_traceback_is_shown_when_asked_for(ending: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    """`sdtps --verbose COMMAND` prints it before the line."""
    ended = ending(ZeroDivisionError("by zero"), before=("--verbose",))

    lines = capsys.readouterr().err.splitlines()
    assert ended == 2
    assert lines[0].startswith("Traceback") and any("in fall" in line for line in lines)
    assert lines[-1].startswith("sdtps fall: a defect of sdtps: ZeroDivisionError")


@pytest.mark.parametrize("stop", [KeyboardInterrupt, Terminated])
def test_an_interrupt_tells_how_to_go_on(
    stop: type[BaseException], ending: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """What was begun inside a block that can be resumed says so."""
    with pytest.raises(stop) as caught, if_interrupted("`--resume` goes on from here"):
        raise stop

    ending(caught.value)

    assert capsys.readouterr().err.endswith("; `--resume` goes on from here\n")


@slow
def test_certify_is_stopped_and_resumed(tmp_path: Path) -> None:
    """By SIGTERM, as by Ctrl-C: the line says how to go on, no process is left, and --resume finds the journal."""
    source = """
        import os, time
        from sdtps_ref.properties.selftest.planted.baseline import Plain
        class Slow(Plain):
            def select(self, *given):
                open("pid", "w").write(str(os.getpid()))
                while os.path.exists("wait"):
                    time.sleep(0.01)
                return super().select(*given)
        """
    (tmp_path / "slow.py").write_text(textwrap.dedent(source))
    (tmp_path / "wait").touch()
    asked = [*SDTPS, "certify", "slow.py:Slow", "--law", "shape"]
    process = subprocess.Popen(asked, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert process.poll() is None

    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=60)
    child = int((tmp_path / "pid").read_text())
    (tmp_path / "wait").unlink()
    resumed = subprocess.run([*asked, "--resume"], cwd=tmp_path, capture_output=True, text=True, timeout=300)

    assert process.returncode == 143, said
    assert said[1] == "sdtps certify: terminated; `--resume` goes on from here\n"
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr


def test_a_reader_that_goes_away_is_no_refusal() -> None:
    """`sdtps laws | head -1`: one line, status 2, and no traceback, from us or from the interpreter's end."""
    script = 'set -o pipefail; "$0" -m sdtps_ref laws | head -1 >/dev/null; echo ${PIPESTATUS[0]}'

    done = subprocess.run(["bash", "-c", script, sys.executable], capture_output=True, text=True, timeout=300)

    assert done.stdout == "2\n"
    assert done.stderr == "sdtps laws: standard output was closed before all was written\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize(
    "arguments", [["laws"], pytest.param(["--help"], marks=slow), pytest.param(["schema"], marks=slow)]
)
def test_a_full_disk_is_no_refusal(arguments: list[str]) -> None:
    """Standard output that takes nothing: one line, and status 2."""
    with open("/dev/full", "w") as full:
        done = subprocess.run([*SDTPS, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, timeout=300)

    assert done.returncode == 2
    assert done.stderr.endswith(": No space left on device\n") and done.stderr.count("\n") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_where_nothing_can_be_said_the_status_speaks() -> None:
    """Both streams full: nothing is printed, and the status is 2 all the same."""
    with open("/dev/full", "w") as full:
        done = subprocess.run([*SDTPS, "sertify"], stdout=full, stderr=full, timeout=300)

    assert done.returncode == 2


@pytest.mark.parametrize("encoding", ["ascii", pytest.param("utf-8", marks=slow), pytest.param("latin-1", marks=slow)])
@pytest.mark.parametrize("arguments", [["report", b"na\xffme.json"], ["certify", "--help"], ["explain", "noise"]])
@pytest.mark.slow
def test_no_encoding_and_no_name_is_too_poor(encoding: str, arguments: list[str | bytes]) -> None:
    """What the encoding lacks, and bytes that are no text, are written as their escapes."""
    environment = os.environ | {"PYTHONIOENCODING": encoding}

    done = subprocess.run([*SDTPS, *arguments], env=environment, capture_output=True, timeout=300)

    assert done.returncode in (0, 2)
    assert b"Traceback" not in done.stderr and b"defect" not in done.stderr
    assert arguments[0] != "report" or done.stderr == (
        b"sdtps report: na\\udcffme.json cannot be read: No such file or directory\n"
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_journal_that_fails_costs_no_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A disk that is full in the middle of a run: said once, and the run goes on to its certificate."""
    journal = tmp_path / "journal"
    monkeypatch.setattr(Journal, "begin", lambda self: (tmp_path / "journal").symlink_to("/dev/full"))

    status = main(["certify", "--law", "shape", "--law", "decision", "--in-process", "--journal", str(journal)])

    said = capsys.readouterr()
    assert status == 0
    assert "CERTIFIED" in said.out
    assert said.err == (
        f"sdtps certify: the journal {journal} cannot be written: No space left on device; "
        "what is judged from now on cannot be resumed\n"
    )
