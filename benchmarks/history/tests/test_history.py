"""The file, the yardstick, the timing in turns, and the two commands."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sdtps_ref.__main__ import main
from sdtps_ref.benchmarks.history import cli
from sdtps_ref.benchmarks.history import records as histories
from sdtps_ref.benchmarks.history.frozen_baseline import Yardstick
from sdtps_ref.benchmarks.history.paired_timing import FEWEST_ROUNDS, Timing, YardstickImplementation, time_pair
from sdtps_ref.benchmarks.history.records import Key, Record
from sdtps_ref.benchmarks.timing.clock import HostClock
from sdtps_ref.benchmarks.timing.timing import Subject
from sdtps_ref.benchmarks.workloads.eligibility import Admissions
from sdtps_ref.properties.reference import Reference

FROZEN = "ddf8be889fd7c0aee3f3861e0bf1590ab05666fdf639cb214a5136058302f737"
KEY = Key("mine.py:Mine", "cpu", "2", "float32", "B4-N128-K64-C512-M25", "forward", FROZEN[:12])

FEW = ("--processes", "1", "--seconds", "0.01", "--size", "B2-N16-K8-C32-M3")


def record(ratio: float, revision: str = "0123456789ab", key: Key = KEY) -> Record:
    """As one would be read from a file."""
    return Record(key, Timing(ratio, ratio, ratio, 1e-3, 1e-3, 100, 3), revision, "2026-01-02T03:04:05+00:00", {})


def test_the_yardstick_is_frozen() -> None:
    """Its file is what it was when the first history began.

    Every ratio in every history was taken against exactly this code; a better, tidier or merely reformatted
    yardstick makes them incomparable. Do not change the digest: undo the edit.
    """
    assert histories.yardstick_digest() == FROZEN


def test_the_yardstick_is_an_sdtps_pipeline() -> None:
    """With the same weights and seed it gives the pooled tokens and the score's gradient of the reference, log mask."""
    sizes = {"dim": 16, "num_tokens": 12, "keep": 5, "slots": 3, "tau": 1.0}
    reference, yardstick = (maker.pipeline(**sizes) for maker in (Reference("log"), YardstickImplementation()))
    yardstick.load_state_dict(reference.aggregation.state_dict())
    tokens, score, cotangent = torch.randn(2, 12, 16), torch.randn(2, 12, requires_grad=True), torch.randn(2, 3, 16)

    results = []
    for pipeline in (reference, yardstick):
        torch.manual_seed(3)
        pooled = pipeline(tokens, score)
        results.append((pooled, *torch.autograd.grad(pooled, score, cotangent)))

    assert results[0][1].abs().max() > 0
    for mine, its in zip(*results, strict=True):
        torch.testing.assert_close(its, mine)


def test_the_yardstick_is_in_what_is_timed() -> None:
    """It takes the workload's sizes."""
    made = YardstickImplementation().pipeline(dim=8, num_tokens=6, keep=3, slots=2, tau=1.0)

    assert isinstance(made, Yardstick)
    assert made(torch.randn(2, 6, 8), torch.randn(2, 6)).shape == (2, 2, 8)


def test_turns_find_a_known_ratio() -> None:
    """Twice the time is a ratio of two, however many calls are in a sample; one process has no spread."""
    now = [0.0]

    def work(seconds: float) -> Callable[[], None]:
        return lambda: now.__setitem__(0, now[0] + seconds)

    pair = Subject([work(4.0)], per_sample=2), Subject([work(2.0)], per_sample=3)
    timing = time_pair(*pair, HostClock(lambda: now[0]), seconds=1.0, seed=0)

    assert (timing.ratio, timing.lowest, timing.highest) == pytest.approx((2.0, 2.0, 2.0))
    assert (timing.seconds, timing.yardstick_seconds) == (4.0, 2.0)
    assert timing.rounds == FEWEST_ROUNDS


def test_what_is_appended_reads_back(tmp_path: Path) -> None:
    """By key, in the order of the file."""
    path, other = tmp_path / "history.jsonl", replace(KEY, mode="backward")

    histories.append(path, [record(1.0), record(2.0, key=other)])
    histories.append(path, [record(1.1, "later")])
    series, broken = histories.read(path)

    assert broken == []
    assert series == {KEY: [record(1.0), record(1.1, "later")], other: [record(2.0, key=other)]}


@pytest.mark.parametrize(
    "wrong",
    [
        '{"format": 1, "key": {"targ',
        "<<<<<<< HEAD",
        "[]",
        "{}",
        '{"format": 2}',
        "\xff\xfe",
        "zero",
        "nan",
        "key",
    ],
)
def test_a_broken_line_is_named_and_costs_no_other(tmp_path: Path, wrong: str) -> None:
    """Its number from 1; the records before and behind it are read, and the file is left as it was."""
    path = tmp_path / "history.jsonl"
    histories.append(path, [record(1.0)])
    good = json.loads(path.read_text())
    made = {
        "zero": good | {"timing": good["timing"] | {"ratio": 0}},
        "nan": good | {"timing": good["timing"] | {"seconds": math.nan}},
        "key": good | {"key": good["key"] | {"size": 4}},
    }
    with open(path, "a", encoding="latin-1") as file:
        file.write((json.dumps(made[wrong]) if wrong in made else wrong) + "\n")
    histories.append(path, [record(1.1)])
    before = path.read_bytes()

    series, broken = histories.read(path)

    assert [line.line for line in broken] == [2]
    assert [entry.timing.ratio for entry in series[KEY]] == [1.0, 1.1]
    assert path.read_bytes() == before


def test_a_line_that_was_cut_off_spoils_no_other(tmp_path: Path) -> None:
    """What is appended after a job that died in the middle of a line begins a line of its own."""
    path = tmp_path / "history.jsonl"
    path.write_text('{"format": 1, "ke')

    histories.append(path, [record(1.1)])
    series, broken = histories.read(path)

    assert [line.line for line in broken] == [1]
    assert series == {KEY: [record(1.1)]}


def test_history_marks_a_step_and_exits_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The change with its revision, the broken line with its number; exit 0, for a history blocks nothing."""
    path, page = tmp_path / "history.jsonl", tmp_path / "page.html"
    levels = [1.0, 1.005, 0.995, 1.002, 0.998, 1.0] * 2
    histories.append(path, [record(level, f"before{place}") for place, level in enumerate(levels)])
    with open(path, "a") as file:
        file.write("not JSON\n")
    histories.append(path, [record(1.1 * level, f"<b>{place}") for place, level in enumerate(levels)])

    status = main(["bench", "history", str(path), "--html", str(page)])

    said = capsys.readouterr().out
    assert status == 0
    assert "10.0 % slower from <b>0 on (record 13, 2026-01-02): 1.000 before, 1.100 after" in said
    assert "line 13 is skipped: JSONDecodeError" in said
    assert "10.0 % slower from &lt;b&gt;0" in page.read_text()
    assert "<b>" not in page.read_text()


@pytest.mark.parametrize(("content", "says"), [("", "no records"), ("nonsense\n", "line 1 is skipped")])
def test_a_history_of_nothing_blocks_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, says: str
) -> None:
    """An empty file, and one with no good line: said, exit 0, also as a page."""
    path = tmp_path / "history.jsonl"
    path.write_text(content)

    assert main(["bench", "history", str(path), "--html", str(tmp_path / "page.html")]) == 0
    assert says in capsys.readouterr().out


def test_a_file_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2: nobody meant that."""
    assert main(["bench", "history", str(tmp_path / "absent.jsonl")]) == 2
    assert "absent.jsonl (No such file or directory); accepted: a file that" in capsys.readouterr().err


def test_record_appends_what_it_timed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a fresh process: a record a size and mode, with the revision that was given."""
    path = tmp_path / "history.jsonl"
    monkeypatch.setattr(Admissions, "refusal", lambda *_: "")  # it has tests of its own, and takes seconds

    status = main(["bench", "record", "--history", str(path), "--revision", "v1", *FEW])
    series, broken = histories.read(path)

    assert status == 0
    assert "2 records of v1 appended" in capsys.readouterr().out
    assert broken == []
    assert sorted(key.mode for key in series) == ["forward", "forward+backward"]
    assert all(entry.revision == "v1" for entries in series.values() for entry in entries)


def test_what_is_wrong_is_not_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 1 with who refused it at which size; nothing is timed, and there is no file."""
    path = tmp_path / "history.jsonl"
    monkeypatch.setattr(Admissions, "refusal", lambda *_: "refused by decision.forward_is_hard")
    monkeypatch.setattr(cli, "in_processes", lambda *_: pytest.fail("it was timed"))

    assert main(["bench", "record", "--history", str(path), *FEW]) == 1
    said = "at B2-N16-K8-C32-M3 is not timed: refused by decision.forward_is_hard"
    assert said in capsys.readouterr().err
    assert not path.exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--processes", "0"], "given --processes 0; accepted: 1 or more"),
        (["--seconds", "nan"], "given --seconds nan; accepted: a number above 0"),
        (["--size", "huge"], "given size 'huge'; accepted: "),
        (["--device", "abacus"], "abacus"),
        (["no_such_module:It", "--processes", "1"], "no_such_module"),
    ],
)
def test_what_cannot_be_recorded_exits_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    """One line, and no file."""
    path = tmp_path / "history.jsonl"

    assert main(["bench", "record", "--history", str(path), *arguments]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert len(said.splitlines()) == 1
    assert not path.exists()
