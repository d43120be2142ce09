"""Failing cases that are shared: by directory, by a real Redis server, by neither when it is gone."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis.database import DirectoryBasedExampleDatabase

from sdtps_ref.__main__ import main
from sdtps_ref.errors import InvalidInput
from sdtps_ref.properties import check_implementation
from sdtps_ref.properties.certificates.certificate import Certificate, LawResult
from sdtps_ref.properties.certificates.expected import ExpectedFailure
from sdtps_ref.properties.engine.certify import tried
from sdtps_ref.properties.engine.example_database import MOST, SharedExamples, shared_examples, shown
from sdtps_ref.properties.engine.isolation.child import SubprocessRunner
from sdtps_ref.properties.engine.isolation.subject import Named
from sdtps_ref.properties.engine.make_settings import make_settings
from sdtps_ref.properties.engine.settings import EXAMPLES, Limits, Profile
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.law import all_laws
from sdtps_ref.properties.selftest.planted.baseline import FAULTS, Plain, plant_all

plant_all()
FEW = Profile("few", examples=4, minimum=2)
LAW = "decision.forward_is_hard"
CASE = Case(batch=2, num_tokens=21, keep=9, dim=8, slots=3, seed=77)


class WrongAtTwentyOne(Plain):
    """Wrong for 21 tokens alone, which are no corner and rarely drawn."""

    def join(self, hard, soft):
        decision = super().join(hard, soft)
        return decision * 1.5 if decision.shape[-1] == 21 else decision


def judged(implementation: object, database: object) -> Certificate:
    """A quick certificate by one law and what it rests on."""
    return check_implementation(
        implementation, profile=FEW, laws=[LAW], database=database, isolated=False, reproduce=False
    )


def result_of(certificate: Certificate) -> LawResult:
    """What became of the law."""
    return next(result for result in certificate.laws if result.id == LAW)


class Server:
    """A Redis server of this test's own, which keeps nothing on disk."""

    def __init__(self, program: str, folder: Path):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        options = {"port": self.port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": folder}
        arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        self.process = subprocess.Popen([program, *arguments], stdout=subprocess.DEVNULL)
        self.address = f"redis://127.0.0.1:{self.port}/0"
        for _ in range(100):
            with socket.socket() as attempt:
                if attempt.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError("redis-server does not answer")

    def stop(self) -> None:
        """End the process and wait until it has."""
        self.process.terminate()
        self.process.wait(timeout=10)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A running server."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server is installed")
    running = Server(program, tmp_path)
    yield running
    running.stop()


@pytest.fixture(params=["directory", "redis"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An address of each kind."""
    if request.param == "redis":
        return request.getfixturevalue("server").address
    return str(tmp_path / "examples")


def test_what_failed_once_is_tried_first_elsewhere(database: str) -> None:
    """A case that one implementation failed on finds the same fault in another, where nothing drawn would."""
    SharedExamples((database,)).remember(LAW, CASE)

    alone = judged(WrongAtTwentyOne(), None)
    sharing = judged(WrongAtTwentyOne(), database)

    assert result_of(alone).status == "passed"
    assert result_of(sharing).status == "failed"
    assert result_of(sharing).failure.case.num_tokens == 21
    assert sharing.environment["databases"] == [shown(database)]


def test_failures_are_kept_by_law_and_survive_who_passes(database: str) -> None:
    """A failure is stored under its law alone, and stays when a right implementation passes on it."""
    failure = result_of(judged(FAULTS["SoftForward"](), database)).failure

    after_right_one = result_of(judged(Plain(), database)).status
    examples = SharedExamples((database,))

    assert after_right_one == "passed"
    assert examples.cases(LAW) == [failure.case]
    assert examples.cases("decision.keeps_top_k") == []


def test_a_database_changes_nothing_that_is_drawn(tmp_path: Path) -> None:
    """Profiles that do not explore draw the same cases, whatever was stored."""
    seen = {}

    def watched(name: str, database: str | None) -> None:
        class Watched(Plain):
            def selector(self, **sizes):
                seen.setdefault(name, []).append(tuple(sizes.values()))
                return super().selector(**sizes)

        judged(Watched(), database)

    SharedExamples((str(tmp_path),)).remember(LAW, CASE)

    watched("without", None)
    watched("with", str(tmp_path))

    extra = (CASE.dim, CASE.num_tokens, CASE.keep, CASE.tau)
    assert extra not in seen["without"]
    assert [sizes for sizes in seen["with"] if sizes != extra] == seen["without"]


def test_what_is_stored_is_limited_and_sifted(tmp_path: Path) -> None:
    """The smallest MOST are taken, and what another version stored in another form is passed over."""
    examples = SharedExamples((str(tmp_path),))
    for batch in range(1, MOST + 5):
        examples.remember(LAW, Case(batch=batch, num_tokens=2, keep=1, dim=8, slots=1))
    for content in (b"\xff", b"[]", b'{"bach": 3}'):
        DirectoryBasedExampleDatabase(tmp_path).save(b"shape.follows_inputs", content)

    taken = examples.cases(LAW)

    assert [case.batch for case in taken] == list(range(1, MOST + 1))
    assert examples.cases("shape.follows_inputs") == []


def test_stored_cases_are_moved_into_the_domain() -> None:
    """A law is not asked what it does not speak of, even if it once did; nor on a device that nobody asked for."""
    domain = Domain(dtypes=("float32",), min_keep=2)
    case = Case(batch=1, num_tokens=3, keep=1, dim=8, slots=1, dtype="float16", device="cuda")

    moved = domain.admitted(case.portable("cuda"), "meta")

    assert (moved.dtype, moved.keep, moved.device) == ("float32", 2, "meta")


def test_several_databases_are_read_and_written(tmp_path: Path, server: Server) -> None:
    """A directory and Redis together: each is written to, and either can be read alone."""
    both = (str(tmp_path / "examples"), server.address)

    SharedExamples(both).remember(LAW, CASE)

    assert [SharedExamples((address,)).cases(LAW) for address in both] == [[CASE], [CASE]]
    assert SharedExamples(both).cases(LAW) == [CASE]


def test_a_server_that_goes_away_loses_no_result(server: Server) -> None:
    """Every law is judged; the one at which the server was missed says so, and the verdict is as without."""
    announced = []

    def stop_after_the_first(result: LawResult) -> None:
        announced.append(result)
        server.stop()

    certificate = check_implementation(
        FAULTS["NoParentheses"](),
        profile=FEW,
        laws=["decision"],
        database=server.address,
        isolated=False,
        reproduce=False,
        announce=stop_after_the_first,
    )

    said = [
        result.id for result in certificate.laws if any("without the example database" in note for note in result.notes)
    ]
    assert len(announced) == len(certificate.laws) > 2
    assert said == [announced[1].id]
    assert result_of(certificate).status == "failed"
    assert certificate.verdict == "refused"


QUITS = """
import os
from sdtps_ref.properties.selftest.planted.baseline import Plain

class Quits(Plain):
    def choose(self, score, noise, keep):
        return os._exit(7) if score.shape[-1] == 21 else super().choose(score, noise, keep)
"""


def test_a_case_that_takes_the_child_down_travels_like_any_other(tmp_path: Path) -> None:
    """It reaches the child, is kept again, and may be expected; the database itself stays on the certifier's side."""
    (tmp_path / "quits.py").write_text(QUITS)
    target, database = f"{tmp_path}/quits.py:Quits", str(tmp_path / "examples")
    expected = {LAW: ExpectedFailure("quits at 21 tokens", match="exit status 7")}
    settings = make_settings(FEW, target=target, expected_failures=expected, database=database)
    assert settings.examples is not None
    settings.examples.remember(LAW, CASE)

    child = SubprocessRunner(Named(target), settings, Limits(60))
    result = tried(all_laws()[LAW], child, 1, settings)
    child.close()

    assert child.settings.examples is None
    assert result.status == "xfailed"
    assert result.failure is not None and result.failure.case == CASE
    assert settings.examples.cases(LAW) == [CASE]


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("redis://127.0.0.1:1/0", "given database redis://127.0.0.1:1/0, which cannot be reached"),
        ("redis://me:secret@127.0.0.1:1/0", "given database redis://127.0.0.1:1/0, which cannot be reached"),
        ("redis://127.0.0.1:x/0", "which cannot be reached (Port"),
        ("redis://127.0.0.1:1/first", "accepted: redis://host:port/db, where db is a number"),
        ("http://127.0.0.1:1/0", "given database http://127.0.0.1:1/0; accepted: a directory, redis://"),
        (f"{__file__}/examples", "accepted: a directory that can be written"),
    ],
)
def test_what_cannot_be_reached_is_one_line(address: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2 before any law runs, and no password is printed."""
    status = main(["certify", "--database", address, "--in-process"])

    printed = capsys.readouterr().err
    assert says in printed
    assert "secret" not in printed
    assert len(printed.splitlines()) == 1
    assert status == 2


def test_without_the_redis_package_the_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is an extra; who lacks it is told its name."""
    monkeypatch.setitem(__import__("sys").modules, "hypothesis.extra.redis", None)

    with pytest.raises(InvalidInput, match=r"redis is not installed; accepted: after pip install 'sdtps-ref\[redis\]'"):
        shared_examples("redis://127.0.0.1:1/0")


def test_only_deep_explores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """quick and ci have seed 0 and no database; deep has a new seed each time and the current folder's database."""
    monkeypatch.chdir(tmp_path)

    quick, ci = make_settings("quick"), make_settings("ci")
    deep = [make_settings("deep") for _ in range(3)]

    assert [(settings.seed, settings.examples) for settings in (quick, ci)] == [(0, None), (0, None)]
    assert len({settings.seed for settings in deep}) > 1
    assert deep[0].examples is not None and deep[0].examples.addresses == (EXAMPLES,)
    assert make_settings("deep", 5, database="none").seed == 5
    assert make_settings("deep", 5, database="none").examples is None
    assert (tmp_path / EXAMPLES).is_dir()
