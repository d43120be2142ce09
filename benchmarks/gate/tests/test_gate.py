"""The command, for real but short: what is measured, printed and returned."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gate.tests.simulated import Noise, process
from sdtps_ref.__main__ import main
from sdtps_ref.benchmarks.gate import comparison
from sdtps_ref.benchmarks.gate.measuring.plan import Measured, Plan, head_name
from sdtps_ref.benchmarks.gate.measuring.revisions import Operand
from sdtps_ref.benchmarks.gate.measuring.rounds import measured_in_fresh_process
from sdtps_ref.benchmarks.gate.measuring.slowdown import Filler, fit
from sdtps_ref.benchmarks.gate.rule.verdict import NOT_SLOWER, SLOWER
from sdtps_ref.benchmarks.timing.process import ProcessFailed
from sdtps_ref.benchmarks.workloads.cells import Cell
from sdtps_ref.benchmarks.workloads.sizes import Size

TINY = Size(2, 16, 8, 64, 3)
TARGET = "sdtps_ref.properties.reference:log_mask"
SIDE = Operand(TARGET, TARGET, "", None)
QUIET = Noise(sample=0.02, place=0.002, wander=0.002, bursts=0.02)


@pytest.mark.slow
def test_one_real_process() -> None:
    """What it announces and brings back: each subject timed in each round of each block, and a filler's share."""
    cells = tuple(Cell("pipeline", TINY, mode) for mode in ("forward", "forward+backward"))
    plan = Plan(SIDE, SIDE, cells, seconds=0.1, blocks=3, head_doses=(0.0, 0.5))
    begun: list[Cell] = []

    measured = measured_in_fresh_process(plan, begun.append)

    assert [seen.cell for seen in measured] == begun == list(cells)
    for seen in measured:
        assert (3, len(plan.doses)) == (seen.times.shape[0], seen.times.shape[2])
        assert {name: dose > 0 for name, dose in seen.subjects.items()} == {
            name: dose > 0 for name, dose in plan.doses.items()
        }
        assert seen.logs(head_name(0.5)).shape == seen.times.shape[:2]


def test_a_plan_and_what_it_brings_are_plain_data() -> None:
    """Both survive JSON, so nothing has to be unpickled that unknown code wrote."""
    cell = Cell("pipeline", TINY, "forward")
    plan = Plan(SIDE, SIDE, (cell,), seed=7, head_doses=(0.0, 0.5))
    seen = process(cell, np.random.default_rng(0), QUIET)

    again = Measured.from_json(cell, json.loads(json.dumps(seen.to_json())))

    assert plan == Plan.from_json(json.loads(json.dumps(plan.to_json())))
    assert np.array_equal(seen.times, again.times)
    assert (seen.calls, seen.subjects) == (again.calls, again.subjects)


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        {},
        {"times": "long"},
        {"times": [[[1.0, 2.0]]]},
        {"times": [[[1.0, 1.0, 1.0, 0.0]]]},
        {"times": [[[1.0, 1.0, 1.0, float("nan")]]]},
        {"calls": 0},
        {"subjects": []},
    ],
)
def test_what_is_no_measurement_is_refused(wrong: dict[str, object] | None) -> None:
    """Unknown code ran where it comes from."""
    cell = Cell("pipeline", TINY, "forward")
    right = process(cell, np.random.default_rng(0), QUIET).to_json()

    with pytest.raises(ProcessFailed, match="a measuring process gave"):
        Measured.from_json(cell, right | wrong if wrong else wrong)


def test_a_filler_finds_its_dose() -> None:
    """Rows are chosen by the share that is seen; a fixed part that is too much for one of several is refused."""
    few, many = fillers = [Filler(Cell("pipeline", TINY, "forward"), dose) for dose in (0.05, 0.1)]

    assert fit(fillers, lambda filler: 0.01 + 0.001 * round(filler.rows))
    assert (round(few.rows), round(many.rows)) == (40, 90)
    few.correct(0.06)
    assert round(few.rows) == 35
    assert not fit(fillers, lambda filler: 0.04 + 0.001 * round(filler.rows))
    assert fit([many], lambda filler: 0.04 + 0.001 * round(filler.rows))
    assert fit([], lambda filler: 1.0)


@pytest.mark.parametrize(("command", "slowdown", "status"), [([], 0.0, 0), (["compare"], 0.06, 1)])
def test_exit_status_and_record(
    command: list[str],
    slowdown: float,
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The whole command on simulated processes, with its name and without: table, JSON and exit status agree."""
    rng = np.random.default_rng(0)

    def simulated(plan: Plan, announce: object) -> list[Measured]:
        return [process(cell, rng, QUIET, slowdown=slowdown) for cell in plan.cells]

    monkeypatch.setattr(comparison, "measured_in_fresh_process", simulated)
    record = tmp_path / "gate.json"

    returned = main(
        ["gate", *command, TARGET, TARGET, "--stage", "pipeline", "--size", str(TINY), "--json", str(record)]
    )

    written = json.loads(record.read_text())
    assert status == returned
    assert status == written["exit_status"]
    assert {NOT_SLOWER: 0, SLOWER: 1}[written["verdict"]] == status
    assert len(written["cells"]) == 2
    assert abs(written["cells"][0]["head"]["ratio"] - 1 - slowdown) < 0.01
    assert ("NOT SLOWER:" if status == 0 else "\nSLOWER:") in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "given no BASE and HEAD; accepted: two"),
        ([TARGET], "given no HEAD; accepted: two"),
        ([TARGET, TARGET, "--seconds", "0"], "given --seconds 0; accepted: above 0"),
        ([TARGET, TARGET, "--tolerance", "nan"], "given --tolerance nan; accepted: a percentage above 0"),
        ([TARGET, TARGET, "--size", "7x7"], "given size '7x7'"),
        ([TARGET, TARGET, "--json", "/no/such/folder/x"], "accepted: a file in a folder that exists"),
        ([TARGET, "no-such-revision"], "given 'no-such-revision'"),
        (["--clockless", TARGET], "given --clockless; accepted: sdtps gate counts TARGET"),
    ],
)
def test_what_cannot_run_is_said_in_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, with what was given and what is accepted."""
    returned = main(["gate", *arguments])

    shown = capsys.readouterr().err
    assert returned == 2
    assert said in shown
    assert shown.count("\n") == 1
