"""The certifier goes on, whatever an implementation does to its process, and names what happened."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sdtps_ref.properties import check_implementation
from sdtps_ref.properties.certificates.certificate import LawResult
from sdtps_ref.properties.engine.isolation.child import Refused, SubprocessRunner
from sdtps_ref.properties.engine.isolation.subject import Named
from sdtps_ref.properties.engine.settings import Limits, Profile, RunSettings
from sdtps_ref.properties.kit.law import all_laws
from sdtps_ref.properties.selftest.planted.baseline import Plain

FEW = Profile("few", 3, 3, shrink=False)
LAW = all_laws()["decision.forward_is_hard"]
SECONDS = 20.0
slow = pytest.mark.slow

# What it does at its next call stands in a file beside it, so that one child serves for many tests.
HOSTILE = """
import os, signal, sys, threading, time
from pathlib import Path

import torch
from sdtps_ref.properties.selftest.planted.baseline import Plain

ORDER = Path(__file__).with_suffix(".order")
KEPT = []

def spin():
    while True:
        pass

def eat():
    while True:
        KEPT.append(torch.ones(2**24))

class Hostile(Plain):
    def choose(self, score, noise, keep):
        exec(ORDER.read_text())
        return super().choose(score, noise, keep)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the hostile implementation lies."""
    path = tmp_path_factory.mktemp("hostile")
    (path / "hostile.py").write_text(HOSTILE)
    return path


@pytest.fixture(scope="module")
def child(folder: Path) -> Iterator[SubprocessRunner]:
    """A child with the hostile implementation, which has nothing to do yet."""
    (folder / "hostile.order").write_text("")
    target = f"{folder / 'hostile.py'}:Hostile"
    child = SubprocessRunner(Named(target), RunSettings(FEW, target=target), Limits(SECONDS, memory_gib=0.5))
    yield child
    child.close()


@pytest.fixture
def told(child: SubprocessRunner, folder: Path) -> Callable[[str], LawResult]:
    """Tries the law on an implementation that does as it is told in its first step."""

    def told(order: str) -> LawResult:
        (folder / "hostile.order").write_text(order)
        return child.tried(LAW)

    return told


@pytest.mark.parametrize(
    ("order", "said"),
    [
        pytest.param("os._exit(7)", "the process ended with exit status 7", marks=slow),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "the process died of SIGSEGV, in choose (hostile.py, line "),
        pytest.param("os.kill(os.getpid(), signal.SIGKILL)", "the process died of SIGKILL", marks=slow),
        pytest.param("os.abort()", "the process died of SIGABRT, in choose (hostile.py, line ", marks=slow),
        pytest.param("os.closerange(0, 200)", "the process ended with exit status 1", marks=slow),
    ],
)
def test_a_death_is_named_and_the_next_law_is_tried(told: Callable[[str], LawResult], order: str, said: str) -> None:
    """How the process ended, where, and on which case; a fresh child judges what comes after."""
    fallen, after = told(order), told("")

    assert (fallen.status, after.status) == ("error", "passed")
    assert fallen.failure is not None
    assert fallen.failure.message.startswith(said)
    assert fallen.failure.case.num_tokens == 6


@pytest.mark.parametrize("order", ["time.sleep(1e6)", pytest.param("spin()", marks=slow)])
@pytest.mark.slow
def test_what_hangs_is_ended(
    child: SubprocessRunner, told: Callable[[str], LawResult], order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the time limit, and it is told in which function it hung."""
    told("")
    monkeypatch.setattr(child, "limits", Limits(3.0, memory_gib=0.5))
    child.close()

    hung = told(order)

    assert hung.status == "error"
    assert "did not finish within 3 s, in " in hung.reason
    assert "(hostile.py, line " in hung.reason


@pytest.mark.slow
def test_memory_has_a_limit(told: Callable[[str], LawResult]) -> None:
    """What eats memory is refused more, and what it keeps is not held against the next law."""
    eaten, after = told("eat()"), told("")

    assert eaten.status == "error"
    assert eaten.failure is not None
    assert "memory" in eaten.failure.message
    assert after.status == "passed"


@pytest.mark.parametrize(
    ("order", "note"),
    [
        (
            "torch.set_default_dtype(torch.float64)",
            "changed the default dtype from float32 to float64; it was put back",
        ),
        ("torch.set_default_device('meta')", "changed the default device from cpu to meta; it was put back"),
        ("torch.set_num_threads(3)", "changed the number of threads from 1 to 3; it was put back"),
        ("torch.set_grad_enabled(False)", "changed grad mode from True to False; it was put back"),
        ("torch.use_deterministic_algorithms(True)", "changed deterministic algorithms from off to on"),
        ("torch.autograd.set_detect_anomaly(True)", "changed anomaly detection from False to True"),
        ("torch.relu = lambda x: 1 / 0", "the implementation replaced torch.relu; it was put back"),
        ("torch.Tensor.relu = lambda x: 1 / 0", "the implementation replaced Tensor.relu; it was put back"),
        ("print('loading weights')", "the implementation prints: 'loading weights'"),
        pytest.param(
            "threading.Thread(target=time.sleep, args=(60,), name='stays').start()",
            "left threads running: stays",
            marks=slow,
        ),
    ],
)
def test_what_is_changed_is_put_back_and_noted(told: Callable[[str], LawResult], order: str, note: str) -> None:
    """The law is judged as if nothing had happened; the next one has nothing to note."""
    changed, after = told(order), told("")

    assert changed.status == "passed", changed.failure
    assert any(note in each for each in changed.notes), changed.notes
    assert after.notes == ()


def test_a_reseeded_generator_stays_in_the_child(told: Callable[[str], LawResult]) -> None:
    """Drawing and reseeding do not disturb the law, or the next."""
    reseeded, after = told("torch.manual_seed(3)"), told("")

    assert (reseeded.status, after.status) == ("passed", "passed")


@pytest.mark.parametrize(
    ("order", "said"), [("sys.exit('bye')", "SystemExit"), ("raise KeyboardInterrupt", "KeyboardInterrupt")]
)
def test_what_ends_programs_is_an_error_of_the_law(told: Callable[[str], LawResult], order: str, said: str) -> None:
    """SystemExit and KeyboardInterrupt are things that an implementation raises, like any other."""
    result = told(order)

    assert result.status == "error"
    assert said in (result.failure.message if result.failure else result.reason)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import os\nos._exit(3)", "loading it, the process ended with exit status 3"),
        ("raise SystemExit('no licence')", "raised SystemExit when imported: no licence"),
        pytest.param(
            "import time\ntime.sleep(1e6)",
            "loading it, it did not finish within 8 s, in <module> (stubborn.py, line 2)",
            marks=slow,
        ),
    ],
)
def test_what_cannot_be_loaded_is_refused_in_one_line(tmp_path: Path, source: str, said: str) -> None:
    """Importing is the implementation's own code too."""
    (tmp_path / "stubborn.py").write_text(source)
    target = f"{tmp_path / 'stubborn.py'}:Stubborn"

    with pytest.raises(Refused) as refused:
        SubprocessRunner(Named(target), RunSettings(FEW, target=target), Limits(8.0))

    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_object_that_travels_is_judged_in_a_child() -> None:
    """And the certificate says so; the scripts of its failures, which it has no place for, run there too."""
    certificate = check_implementation(Plain(), profile=FEW, laws=["decision.forward_is_hard"])

    assert certificate.verdict == "certified"
    assert certificate.environment["isolation"] == "child process"


def test_an_object_that_cannot_travel_is_judged_here_and_the_certificate_says_so() -> None:
    """A lock cannot be pickled; nor can what is asked to stay."""
    rooted = Plain()
    rooted.lock = threading.Lock()

    kept = check_implementation(rooted, profile=FEW, laws=["decision.forward_is_hard"])
    asked = check_implementation(Plain(), profile=FEW, laws=["decision.forward_is_hard"], isolated=False)

    assert kept.verdict == asked.verdict == "certified"
    assert "cannot be pickled" in kept.environment["isolation"]
    assert asked.environment["isolation"] == "none, as asked"
