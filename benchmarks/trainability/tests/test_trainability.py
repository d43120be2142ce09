"""The toy task in short, and the command that trains, stores, draws and shows it."""

import math
from pathlib import Path

import pytest
import torch

from sdtps_ref.__main__ import main
from sdtps_ref.benchmarks.trainability import record as records
from sdtps_ref.benchmarks.trainability.plot import svg
from sdtps_ref.benchmarks.trainability.record import Record, Run, gain, kept_of
from sdtps_ref.benchmarks.trainability.training import CLASSES, DIVERGED, KEEP_RATIO, Step, ToyMask, train
from sdtps_ref.errors import InvalidInput

STEPS = 80


@pytest.fixture(scope="module")
def runs() -> dict[tuple[str, str], Run]:
    """One seed of every mask under Adam, in short, and the first steps under SGD."""
    kinds: list[tuple[ToyMask, str, int]] = [
        ("none", "Adam", STEPS),
        ("subtract", "Adam", STEPS),
        ("log", "Adam", STEPS),
    ]
    kinds += [("subtract", "SGD", 10), ("log", "SGD", 10)]
    return {(m, o): kept_of(m, o, 0, list(train(m, o, 0, steps))) for m, o, steps in kinds}


def test_the_log_mask_learns_what_the_others_do_not(runs: dict[tuple[str, str], Run]) -> None:
    """Under Adam its loss ends at a third or less of either other one's, because it finds the tokens that matter."""
    log, none, subtract = (runs[mask, "Adam"].end for mask in ("log", "none", "subtract"))

    assert log.loss < min(none.loss, subtract.loss) / 3
    assert log.kept > 0.9
    assert max(none.kept, subtract.kept) < 0.75


def test_the_first_step_differs_in_the_score_s_gradient_alone(runs: dict[tuple[str, str], Run]) -> None:
    """Same parameters, data and noise: same loss, same choice, and the score's gradient 1e10, 1 and 0 times as long."""
    none, subtract, log = (runs[mask, "Adam"].first for mask in ("none", "subtract", "log"))

    assert none.loss == pytest.approx(log.loss, rel=1e-5)
    assert subtract.loss == pytest.approx(log.loss, rel=1e-5)
    assert none.kept == subtract.kept == log.kept
    assert none.score_gradient_norm == 0
    assert subtract.score_gradient_norm == pytest.approx(1e10 * log.score_gradient_norm, rel=1e-3)
    assert subtract.gradient_norm > 1e5 > 1 > log.gradient_norm


def test_untrained_is_chance(runs: dict[tuple[str, str], Run]) -> None:
    """The task gives nothing away: the first loss is near log(CLASSES), and half of what matters is kept."""
    first = runs["log", "Adam"].first

    assert first.loss == pytest.approx(math.log(CLASSES), rel=0.1)
    assert first.kept == pytest.approx(KEEP_RATIO, abs=0.1)


def test_a_run_that_diverges_is_a_result(runs: dict[tuple[str, str], Run]) -> None:
    """SGD with the 1e10 mask ends in NaN within ten steps, and says after which; with the log mask it does not."""
    subtract, log = runs["subtract", "SGD"], runs["log", "SGD"]

    assert 1 <= subtract.finite < 10
    assert math.isnan(subtract.end.loss)
    assert log.finite == 10


def test_a_seed_gives_the_same_run_again_and_another_seed_another() -> None:
    """Wherever torch's global generator stands, and it is left there."""
    torch.manual_seed(5)
    once = list(train("log", "Adam", 1, 3))
    drawn = torch.rand(1)
    again, other = (list(train("log", "Adam", seed, 3)) for seed in (1, 2))
    torch.manual_seed(5)

    assert once != other
    assert torch.equal(torch.rand(1), drawn)
    assert once == again


def test_every_run_has_the_steps_that_were_asked_for() -> None:
    """Also the one that diverged."""
    assert len(list(train("subtract", "SGD", 0, 12))) == 12


def test_a_median_counts_nan_as_worst() -> None:
    """Two of three that diverged do not end at the loss of the third."""
    assert records.median([1.0, math.nan, 2.0]) == 2
    assert records.median([1.0, math.nan, math.nan]) == math.inf


def test_what_is_stored_reads_back(tmp_path: Path) -> None:
    """Numbers to six digits, NaN as null (JSON has none), and the same gain."""
    step = Step(loss=1 / 3, gradient_norm=2e6, score_gradient_norm=3.0, kept=0.5)
    runs = (kept_of("subtract", "SGD", 0, [step, DIVERGED]), kept_of("log", "SGD", 0, [step, step]))
    record = Record(2, {"torch": "2"}, runs)

    records.write(record, tmp_path / "runs.json")
    back = records.read(tmp_path / "runs.json")

    assert "NaN" not in (tmp_path / "runs.json").read_text()
    assert gain(back) == gain(record) == 1
    assert back.runs[0].finite == 1
    assert math.isnan(back.runs[0].curve[0].loss)
    assert back.runs[1].end.loss == pytest.approx(1 / 3, rel=1e-6)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"format": 2}', '{"format": 1, "steps": 3, "environment": {}, "runs": [{"mask": "x"}]}'],
)
def test_another_file_is_refused(tmp_path: Path, content: str) -> None:
    """One line that names the file."""
    path = tmp_path / "other.json"
    path.write_text(content)

    with pytest.raises(InvalidInput, match=r"given .*other\.json.*; accepted: "):
        records.read(path)


@pytest.mark.parametrize(("mask", "optimiser", "steps"), [("soft", "Adam", 1), ("log", "Lion", 1), ("log", "Adam", 0)])
def test_what_there_is_not_is_refused(mask: ToyMask, optimiser: str, steps: int) -> None:
    """A mask, an optimiser, a number of steps."""
    with pytest.raises(InvalidInput, match="accepted: "):
        list(train(mask, optimiser, 0, steps))


def test_the_command_prints_stores_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A row a mask and optimiser, the gain in words; JSON and SVG. What was stored prints the same again."""
    files = {name: tmp_path / f"runs.{name}" for name in ("json", "svg")}
    outputs = [argument for name, path in files.items() for argument in (f"--{name}", str(path))]

    status = main(["bench", "trainability", "--seeds", "1", "--steps", "8", *outputs])
    said = capsys.readouterr().out
    again = main(["bench", "trainability", "--from", str(files["json"])])

    assert status == again == 0
    assert [line.split()[0] for line in said.splitlines()[1:7]] == ["Adam"] * 3 + ["SGD"] * 3
    assert "The score gets 1e+10 times as much gradient" in said
    assert "NaN" in said
    assert files["svg"].read_text().count("<svg") == 1
    assert "1e10 mask" in files["svg"].read_text()
    assert capsys.readouterr().out == said


@pytest.mark.slow
def test_one_record_is_one_drawing() -> None:
    """To the letter, so that a drawing in a repository changes only with its data; a diverged run is told in it."""
    step = Step(loss=1.0, gradient_norm=2.0, score_gradient_norm=3.0, kept=0.5)
    record = Record(2, {"torch": "2"}, (kept_of("subtract", "SGD", 0, [step, DIVERGED]),))

    once, again = svg(record), svg(record)

    assert "NaN after step 1 (1 of 1 seeds)" in once
    assert once == again


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--seeds", "0"], "given --seeds 0; accepted: 1 or more"),
        (["--svg", "/no/such/folder/plot.svg"], "accepted: a file in a folder that exists"),
        (["--from", "/no/such/file.json"], "accepted: a file that `sdtps bench trainability --json` wrote"),
    ],
)
def test_bad_arguments_exit_2(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is trained, in one line."""
    assert main(["bench", "trainability", *arguments]) == 2
    assert says in capsys.readouterr().err
