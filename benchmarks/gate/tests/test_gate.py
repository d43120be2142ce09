"""The command, for real but short: what is measured, printed and returned."""

import json
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gate.tests.simulated import Noise, process
from sdtps_ref.benchmarks.commands import gate
from sdtps_ref.benchmarks.gate import comparison
from sdtps_ref.benchmarks.gate.measuring.cells import Cell
from sdtps_ref.benchmarks.gate.measuring.clock import HostClock, clock_for
from sdtps_ref.benchmarks.gate.measuring.plan import Measured, Plan, head_name
from sdtps_ref.benchmarks.gate.measuring.process import in_fresh_process
from sdtps_ref.benchmarks.gate.measuring.revisions import Operand
from sdtps_ref.benchmarks.gate.measuring.slowdown import Filler, fit
from sdtps_ref.benchmarks.gate.rule.verdict import NOT_SLOWER, SLOWER
from sdtps_ref.benchmarks.workloads.sizes import Size

TINY = Size(2, 16, 8, 64, 3)
TARGET = "sdtps_ref.properties.reference:log_mask"
SIDE = Operand(TARGET, TARGET, "", None)
QUIET = Noise(sample=0.02, place=0.002, wander=0.002, bursts=0.02)


def test_one_real_process() -> None:
    """Every subject is timed in every round, each sample long enough, and the slowed copy has about its dose."""
    cell = Cell("pipeline", TINY, "forward")
    plan = Plan(SIDE, SIDE, (cell,), seconds=0.1, blocks=3, head_doses=(0.0, 0.5))

    measured = in_fresh_process(plan)[0]

    assert (3, len(plan.doses)) == (measured.times.shape[0], measured.times.shape[2])
    assert (measured.times > 0).all()
    assert np.median(measured.times) > 5e-4
    assert 0.02 < measured.subjects["slow"] < 0.12
    assert np.median(measured.logs(head_name(0.5))) > 0.2


def test_the_clock_counts_sleep() -> None:
    """Waiting for a core is left out where it can be; sleeping, which is the code's own, never is."""
    clock = clock_for("cpu", threads=1)
    begin, wall = clock.mark(), HostClock().mark()

    time.sleep(0.05)

    assert clock.seconds(begin, clock.mark()) >= 0.045
    assert clock.seconds(begin, clock.mark()) <= HostClock().seconds(wall, HostClock().mark()) + 1e-3
    assert HostClock is type(clock_for("cpu", threads=2))


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

    monkeypatch.setattr(comparison, "in_fresh_process", simulated)
    record = tmp_path / "gate.json"

    returned = gate([*command, TARGET, TARGET, "--stage", "pipeline", "--size", str(TINY), "--json", str(record)])

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
    returned = gate(arguments)

    shown = capsys.readouterr().err
    assert returned == 2
    assert said in shown
    assert shown.count("\n") == 1
