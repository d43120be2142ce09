"""Within the threat model: code that meddles with the judge is told, and gets no certificate."""

import os
import time
from pathlib import Path

import pytest

from sdtps_ref.__main__ import main
from sdtps_ref.properties.certificates.certificate import Certificate, LawResult
from sdtps_ref.properties.engine.certify import certificate_of
from sdtps_ref.properties.engine.deciding import Deciding
from sdtps_ref.properties.engine.isolation.child import Refused, SubprocessRunner
from sdtps_ref.properties.engine.isolation.subject import Named
from sdtps_ref.properties.engine.settings import Limits, Profile, RunSettings
from sdtps_ref.properties.kit import expect
from sdtps_ref.properties.kit.outcomes import Violation

FEW = Profile("few", 3, 3, shrink=False)
slow = pytest.mark.slow
# D is soft in the forward pass, so whoever is judged honestly is refused.
SUBJECT = """
import gc, json, os, sys
import torch
from sdtps_ref.properties.selftest.planted.baseline import Plain

RESULT = {{"id": "decision.forward_is_hard", "level": "MUST", "status": "passed", "reason": "", "examples": 99,
           "discarded": 0, "seconds": 0.1, "seconds_inside": 0.1, "classes": [], "findings": {{}}, "evidence": {{}},
           "notes": [], "failure": None, "expected": None}}
LINES = [b"ready\\n", json.dumps({{"result": RESULT, "spent": False}}).encode() + b"\\n"]

def write_to(descriptor):
    try:
        for line in LINES:
            os.write(descriptor, line)
    except OSError:
        pass

def walk():
    frame = sys._getframe()
    while frame is not None:
        for value in [*frame.f_locals.values(), *gc.get_objects()]:
            if hasattr(value, "fileno") and hasattr(value, "write"):
                try:
                    write_to(value.fileno())
                except Exception:
                    pass
        frame = frame.f_back

def to_all():
    for name in os.listdir("/proc/self/fd"):
        write_to(int(name))

{imported}

class Mine(Plain):
    name = "mine"
    def join(self, hard, soft):
        {called}
        return soft
"""


def runner(folder: Path, *, imported: str = "", called: str = "pass") -> SubprocessRunner:
    """A child with a subject that does something when it is imported, and something when it is called."""
    (folder / "meddler.py").write_text(SUBJECT.format(imported=imported, called=called))
    target = f"{folder / 'meddler.py'}:Mine"
    return SubprocessRunner(Named(target), RunSettings(FEW, target=target, laws=("decision",)), Limits(20.0))


def judged(child: SubprocessRunner) -> Certificate:
    """What the laws of the decision say of it."""
    try:
        return certificate_of([child], child.settings, reproduce=False)
    finally:
        child.close()


@pytest.mark.parametrize(
    ("called", "said"),
    [
        (
            "from sdtps_ref.properties.kit.expect import expect_close as judge; "
            "judge.__code__ = (lambda *a, **k: None).__code__",
            "kit.expect.expect_close",
        ),
        pytest.param(
            "from sdtps_ref.properties.certificates.certificate import LawResult; "
            "LawResult.to_json = lambda self: RESULT",
            "certificates.certificate.LawResult.to_json",
            marks=slow,
        ),
        pytest.param(
            "torch.Tensor.__le__ = lambda self, other: torch.ones_like(self, dtype=torch.bool)",
            "torch.Tensor.__le__",
            marks=slow,
        ),
    ],
)
def test_what_is_replaced_is_told_and_refuses(tmp_path: Path, called: str, said: str) -> None:
    """A function of the judge or of torch that decides, replaced in the forward pass."""
    certificate = judged(runner(tmp_path, called=called))

    assert certificate.verdict == "refused"
    assert said in certificate.implementation["meddling"][0]
    assert "passed" not in {result.status for result in certificate.laws if result.id.startswith("decision")}


def test_what_is_replaced_when_it_is_imported_is_refused_at_once(tmp_path: Path) -> None:
    """The comparison is with what was there before the subject was loaded."""
    with pytest.raises(Refused, match=r"replaced torch\.isfinite: what decides"):
        runner(tmp_path, imported="torch.isfinite = lambda value: torch.ones_like(value, dtype=torch.bool)")


@pytest.mark.parametrize("called", [pytest.param("walk()", marks=slow), "to_all()"])
def test_a_forged_answer_is_noticed(tmp_path: Path, called: str) -> None:
    """Lines on the certifier's pipe, found among frames and objects or by number, are no answers."""
    certificate = judged(runner(tmp_path, called=called))

    statuses = {result.id: result.status for result in certificate.laws}
    assert certificate.verdict in ("refused", "error")
    assert statuses["decision.forward_is_hard"] != "passed"


@pytest.mark.slow
def test_what_is_left_running_is_ended_and_told(tmp_path: Path) -> None:
    """A process that left its session, its group and its parent ends with the run, and the certificate says so."""
    pids = tmp_path / "pids"
    daemon = (
        f"pid = os.fork() if not os.path.exists({str(pids)!r}) else -1\n"
        "        if pid == 0:\n"
        "            os.setsid()\n"
        "            if os.fork() == 0:\n"
        f"                open({str(pids)!r}, 'w').write(str(os.getpid()))\n"
        "                import time; time.sleep(600)\n"
        "            os._exit(0)\n"
        "        if pid > 0: os.waitpid(pid, 0)"
    )
    child = runner(tmp_path, called=daemon)

    certificate = judged(child)

    left = int(pids.read_text())
    assert not _runs(left)
    assert "left 1 process running, which was ended" in certificate.implementation["notes"]


@slow
def test_what_is_left_running_ends_with_a_certifier_that_is_gone(tmp_path: Path) -> None:
    """The supervisor needs nobody to tell it: the closed pipe of a certifier that died is enough."""
    child = runner(tmp_path)
    assert child.launched is not None
    supervisor, program = child.launched.process.pid, child.launched._what_was_told(5)["program"]

    os.close(child.launched._control)  # as its death does
    child.launched._control = -1
    until = time.monotonic() + 20
    while _runs(program) and time.monotonic() < until:
        time.sleep(0.05)

    assert not _runs(program)
    child.launched.process.wait(10)
    assert not _runs(supervisor)


def _runs(process: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


def test_nothing_is_replaced_by_whoever_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison finds a replaced name, a method and a constant, and nothing where nothing was replaced."""
    deciding = Deciding()

    before = deciding.replaced()
    monkeypatch.setattr(expect, "expect_equal", lambda *arguments: None)
    monkeypatch.setattr(Violation, "__init__", lambda self, *arguments, **named: None)
    monkeypatch.setattr("sdtps_ref.properties.laws.call.gain.Violation", LawResult)
    after = deciding.replaced()

    assert before == []
    assert {"kit.expect.expect_equal", "kit.outcomes.Violation.__init__", "laws.call.gain.Violation"} <= set(after)


def test_the_threat_model_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """In the help of the command, which names the page."""
    status = main(["certify", "--help"])

    said = " ".join(capsys.readouterr().out.split())
    assert status == 0
    assert "guards against mistakes and against code that meddles, not against an enemy" in said
    assert 'See the page "What a certificate is worth".' in said
