"""Every reader of a file, on files that nobody would write: one line each, in no time and with no memory."""

import json
import random
import resource
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sdtps_ref.benchmarks.history import records
from sdtps_ref.benchmarks.trainability import record as trainability
from sdtps_ref.errors import SDTPSError
from sdtps_ref.golden import vectors
from sdtps_ref.properties.certificates.certificate import Certificate, Failure, LawResult, digest
from sdtps_ref.properties.certificates.expected import read_expected
from sdtps_ref.properties.certificates.reading import read_certificate
from sdtps_ref.properties.engine.environment import environment
from sdtps_ref.properties.engine.journal import Journal, seed_of
from sdtps_ref.properties.engine.settings import PROFILES, RunSettings
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.reports.markdown import markdown

EVERY_DAY, DEEP = 100, 20_000  # inputs a reader and kind of input
SECONDS, GIB = 2.0, 2**30
CASE = Case(batch=1, num_tokens=4, keep=2, dim=8, slots=2, drawn=(1.0, 2.0, 3.0, 4.0), packed=())
ABOUT = {"name": "mine", "target": "mine.py:Mine", "sha256": "a" * 64, "files": {"mine.py": "a" * 64}, "adapters": [],
         "notes": ["a note"], "methods": ["selector"]}  # fmt: skip
LAWS = (
    LawResult("shape.follows_inputs", "MUST", "passed", examples=9, findings={"gain": 1.0}, classes=("K=1",)),
    LawResult("decision.forward_is_hard", "MUST", "failed", examples=9, failure=Failure("D is soft", CASE, "pass\n")),
)
MEASURED_ON = environment(RunSettings(PROFILES["quick"], laws=("decision",)), "child process")
CERTIFICATE = Certificate(ABOUT, MEASURED_ON, LAWS).to_json()
JOURNAL = [
    {"implementation": ABOUT, "environment": MEASURED_ON},
    *(law.to_json() for law in LAWS),
    {"files": {"x": "y"}},
]
EXPECTED = """
[[expected]]
law = "decision.forward_is_hard"
reason = "known"
match = "soft"
case = {batch=1, num_tokens=2, keep=1, dim=8, slots=1, drawn=[1, 2]}
"""


def certificate_of(path: Path) -> object:
    """Read it, and make of it what is made of every certificate."""
    return markdown(read_certificate(path))


def journal_of(path: Path) -> object:
    """Both of what is read from a journal."""
    return seed_of(path), Journal(path, JOURNAL[0]).results()


def text_of(content: Any) -> str:
    """A record as a file has it, its digest renewed; a list as lines."""
    if isinstance(content, list):
        return "\n".join(map(json.dumps, content)) + "\n"
    if isinstance(content, dict) and "sha256" in content and "laws" in content:
        content = content | {"sha256": digest(content)}
    return json.dumps(content)


def seeds() -> dict[str, tuple[Callable[[Path], object], Any]]:
    """Each reader, with what a right file of it holds."""
    history = {
        "format": records.FORMAT, "revision": "abc", "recorded": "2026-01-01", "environment": {},
        "timing": dict.fromkeys(records.Timing.__dataclass_fields__, 1.0),
        "key": dict.fromkeys(records.Key.__dataclass_fields__, "x"),
    }  # fmt: skip
    golden = json.loads((vectors.FOLDER / "noise.json").read_text())
    golden["cases"] = golden["cases"][:2]
    golden["count"] = 2
    curves = Path(trainability.__file__).resolve().parents[2] / "docs" / "guides" / "trainability.json"
    return {
        "certificate": (certificate_of, CERTIFICATE),
        "journal": (journal_of, JOURNAL),
        "expected": (read_expected, EXPECTED),
        "vectors": (vectors.read, golden),
        "history": (records.read, [history, history]),
        "trainability": (trainability.read, json.loads(curves.read_text()) if curves.is_file() else {"format": 1}),
    }


READERS = seeds()
NUMBERS = [-1, 0, 10**25, -(10**400), 1e308, -0.0, 5e-324]
TEXTS = ["", "\udcff\x00\n", "x" * 50_000, "nan", "inf", "0x1p2000", "1/0", "0/0", "9" * 60, "\x1b[2J"]
PARTS = [None, True, [], {}, [[]] * 50, {"": None}, [10**9], [10**9, 10**9], ["a"] * 3]
HOSTILE = st.sampled_from([*NUMBERS, *TEXTS, *PARTS])
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
ANY_JSON = st.recursive(PLAIN, lambda parts: st.lists(parts, max_size=4) | st.dictionaries(st.text(max_size=9), parts))


def changed(content: Any, chance: random.Random, value: Any, times: int) -> Any:
    """The content with that value in the place of something in it, or of a name, or with something left out."""
    content = json.loads(json.dumps(content))
    for _ in range(times):
        at, way = content, None
        while isinstance(at, (dict, list)) and at:
            where, way = at, chance.choice(list(at) if isinstance(at, dict) else range(len(at)))
            at = where[way]
            if chance.random() < 0.15:
                break
        if way is None:
            return value
        if chance.random() < 0.15:
            del where[way]
        elif isinstance(where, dict) and chance.random() < 0.1:
            where[str(value)[:40]] = where.pop(way)
        else:
            where[way] = deepcopy(value)  # a later step may go into it, and put it into itself
    return content


@st.composite
def inputs(draw: st.DrawFn, content: Any) -> bytes:
    """Bytes; any JSON; a right file with something else in it; a right file that is torn, or has other bytes."""
    right = content if isinstance(content, str) else text_of(content)
    kind = draw(st.sampled_from(["bytes", "json", "values", "values", "values", "torn", "flipped"]))
    if kind == "bytes":
        return draw(st.binary(max_size=200))
    if kind == "json":
        return json.dumps(draw(ANY_JSON)).encode("utf-8", "surrogatepass")
    if kind == "values" and not isinstance(content, str):
        chance = draw(st.randoms(use_true_random=False))
        other = changed(content, chance, draw(HOSTILE | PLAIN), draw(st.integers(1, 3)))
        return text_of(other).encode("utf-8", "surrogatepass")
    spot, piece = (
        draw(st.integers(0, len(right))),
        draw(st.binary(max_size=6) | st.sampled_from([b"1e999", b"[" * 9999])),
    )
    torn = right.encode()[:spot]
    return torn if kind == "torn" else torn + piece + right.encode()[spot + len(piece) :]


def hold(reader: str, path: Path, examples: int) -> None:
    """Give the reader so many inputs."""
    read, content = READERS[reader]
    least = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(inputs(content))
    def look(given_bytes: bytes) -> None:
        path.write_bytes(given_bytes)
        started = time.thread_time()
        try:
            read(path)
        except SDTPSError as error:
            assert str(error).isprintable() or "\n" not in str(error)
        assert time.thread_time() - started < SECONDS

    look()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - least < GIB


@pytest.mark.parametrize("reader", READERS)
def test_a_right_file_is_read(reader: str, tmp_path: Path) -> None:
    """What the others are made of is right, or nothing would be shown by them."""
    read, content = READERS[reader]
    path = tmp_path / "right"
    path.write_text(content if isinstance(content, str) else text_of(content[:3] if reader == "journal" else content))

    if reader == "trainability" and content == {"format": 1}:
        pytest.skip("the curves of the guide are in a checkout only")
    read(path)


@pytest.mark.parametrize("reader", READERS)
def test_no_file_takes_a_reader_down(reader: str, tmp_path: Path) -> None:
    """Whatever is in it, it is read or refused."""
    hold(reader, tmp_path / "fuzzed", EVERY_DAY)


@pytest.mark.deep
@pytest.mark.parametrize("reader", READERS)
def test_no_file_of_very_many_takes_a_reader_down(reader: str, tmp_path: Path) -> None:
    """100,000 and more of them in all."""
    hold(reader, tmp_path / "fuzzed", DEEP)
