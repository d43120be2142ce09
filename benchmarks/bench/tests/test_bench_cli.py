"""The command: sizes by name, one-line errors, exit statuses, and the door to the history."""

import json
import sys
from pathlib import Path

import pytest
import torch

from sdtps_ref.__main__ import main
from sdtps_ref.aggregation import slot_count
from sdtps_ref.benchmarks.bench import cli
from sdtps_ref.benchmarks.workloads import eligibility
from sdtps_ref.benchmarks.workloads.sizes import BATCHES, EVERYDAY, PUBLISHED, SHAPES, Size, sizes_named
from sdtps_ref.errors import InvalidInput

QUICK_RUN = ["--stage", "aggregation", "--mode", "forward", "--size", "B2-N16-K8-C32-M3", "--samples", "3"]


@pytest.fixture
def all_admitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificates have tests of their own, and take seconds."""
    monkeypatch.setattr(eligibility.Admissions, "refusal", lambda *_: "")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("everyday", EVERYDAY),
        ("published", PUBLISHED),
        ("128x512", tuple(SHAPES["128x512"].batch(B) for B in BATCHES)),
        ("3x196x768", (Size(3, 196, 98, 768, 39),)),
        ("B1-N9-K9-C8-M2", (Size(1, 9, 9, 8, 2),)),
    ],
)
def test_sizes_have_names(name: str, expected: tuple[Size, ...]) -> None:
    """And every size has one by which it is found again."""
    sizes = sizes_named(name)

    assert expected == sizes
    assert all(sizes_named(size.short) == sizes_named(str(size)) == (size,) for size in sizes)


def test_published_sizes_are_the_papers() -> None:
    """B 4, 64, 256, 1024; N 128, 196, 1024; C 512, 768; half of the tokens kept, int(0.4 K) of them slots up to 39."""
    assert {size.B for size in PUBLISHED} == {4, 64, 256, 1024}
    assert {size.N for size in PUBLISHED} == {128, 196, 1024}
    assert {size.C for size in PUBLISHED} == {512, 768}
    assert all(size.K == size.N // 2 for size in PUBLISHED)
    assert all(min(39, slot_count(size.N, 0.5, 0.4)) == size.M for size in PUBLISHED)


@pytest.mark.parametrize("name", ["", "128", "0x128x512", "4x4x4", "B2-N4-K5-C8-M1", "B0-N4-K2-C8-M1", "-1x128x512"])
def test_a_size_that_is_none_is_refused(name: str) -> None:
    """With what is accepted."""
    with pytest.raises(InvalidInput, match=r"given size .*; accepted: "):
        sizes_named(name)


def test_a_run_prints_a_table_and_writes_both_files(
    all_admitted: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 1 only for what beat the limit; both masks in table, record and page; without a GPU the columns say so."""
    files = [tmp_path / "bench.json", tmp_path / "bench.html"]

    status = main(["bench", *QUICK_RUN, "--device", "cpu", "--json", str(files[0]), "--html", str(files[1])])

    printed, record = capsys.readouterr().out, json.loads(files[0].read_text())
    assert status == int(any(row["error"] for row in record["rows"]))
    assert [row["subject"] for row in record["rows"]] == ["reference, subtract", "reference, log"]
    assert [bool(row["error"]) for row in record["rows"]] == [
        row["seconds"] < row["limit_seconds"] for row in record["rows"]
    ]
    assert "aggregation, B2-N16-K8-C32-M3, float32, cpu" in printed
    assert ("host, graph, GPU kernels: no GPU" in printed) != torch.cuda.is_available()
    assert files[1].read_text().count("<svg") == 1


def test_a_refusal_is_exit_status_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """And the law is in the table."""
    monkeypatch.setattr(eligibility.Admissions, "refusal", lambda *_: "refused by shape.follows_inputs")

    status = main(["bench", *QUICK_RUN, "--device", "cpu"])

    assert status == 1
    assert "reference, log: refused by shape.follows_inputs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--size", "large"], "given size 'large'; accepted: everyday, published"),
        (["--device", "tpu"], "given --device tpu; accepted: cpu"),
        (["--device", "cuda:99"], "given --device cuda:99; accepted: c"),
        (["--samples", "2"], "given --samples 2; accepted: 3 or more"),
        (["--threads", "0"], "given --threads 0; accepted: 1 or more"),
        (["--no-reference"], "given --no-reference without a target; accepted: a target to be timed"),
        (["nowhere.py:Mine"], "there is no file nowhere.py"),
        (
            ["--json", "no/such/folder.json"],
            "given --json no/such/folder.json; accepted: a file in a folder that exists",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, before anything is measured."""
    status = main(["bench", *arguments])

    lines = capsys.readouterr().err.strip().splitlines()
    assert status == 2
    assert len(lines) == 1
    assert lines[0].startswith(f"sdtps bench: {said}")


def test_a_page_without_matplotlib_is_refused_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what is missing and how to get it."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    status = main(["bench", *QUICK_RUN, "--html", str(tmp_path / "page.html")])

    assert status == 2
    said = capsys.readouterr().err
    assert "--html needs matplotlib, which is not installed: pip install 'sdtps-ref[bench]' brings it" in said


def test_ctrl_c_is_status_130_and_leaves_old_files(
    all_admitted: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After the first table, which stays on the terminal: half a run must not take the place of a whole one."""
    right = cli.run

    def interrupted(*given: object) -> object:
        yield next(iter(right(*given)))  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "run", interrupted)
    file = tmp_path / "bench.json"
    file.write_text("of yesterday")

    status = main(["bench", *QUICK_RUN, "--stage", "pipeline", "--device", "cpu", "--json", str(file)])

    printed = capsys.readouterr()
    assert status == 130
    assert "aggregation, B2-N16-K8-C32-M3" in printed.out
    assert printed.err == "sdtps bench: interrupted; no file was written\n"
    assert file.read_text() == "of yesterday"


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["bench", "trainability"], "trainability.cli._trained"),
        (["bench", "record", "--history", "x"], "history.cli._refusal"),
        (["gate", "a", "b"], "gate.cli.operands"),
        (["gate", "counts"], "gate.cli.load"),
    ],
)
def test_ctrl_c_is_status_130_everywhere(
    arguments: list[str], name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And one line, without a traceback."""

    def interrupted(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"sdtps_ref.benchmarks.{name}", interrupted)

    assert main(arguments) == 130
    assert capsys.readouterr().err.count("\n") == 1
