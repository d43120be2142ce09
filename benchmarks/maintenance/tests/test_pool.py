"""A pool that is measured in parts is the pool that is measured at once."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gate.tests.simulated import Noise, process
from sdtps_ref.benchmarks.gate.measuring.plan import Measured, Plan
from sdtps_ref.benchmarks.gate.measuring.revisions import Operand
from sdtps_ref.benchmarks.maintenance import pool
from sdtps_ref.benchmarks.workloads.cells import Cell
from sdtps_ref.benchmarks.workloads.sizes import Size
from sdtps_ref.errors import InvalidInput

CELL = Cell("pipeline", Size(2, 16, 8, 32, 3), "forward")
SIDE = Operand("here", "module:attribute", "here", None)
PLAN = Plan(SIDE, SIDE, (CELL,), seed=5)


@pytest.fixture
def seeds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Nothing is measured; the seeds that processes were asked with."""
    asked: list[int] = []

    def simulated(plan: Plan) -> list[Measured]:
        asked.append(plan.seed)
        if len(asked) > 9:
            raise KeyboardInterrupt
        return [process(cell, np.random.default_rng(plan.seed), Noise()) for cell in plan.cells]

    monkeypatch.setattr(pool, "measured_in_fresh_process", simulated)
    return asked


def test_what_is_there_is_not_measured_again(seeds: list[int], tmp_path: Path) -> None:
    """Two, then five of the same folder: the seeds go on, and what comes back is what was measured, bit by bit."""
    pool.measured_pool(PLAN, 2, kept=tmp_path)

    parts = pool.measured_pool(PLAN, 5, kept=tmp_path)

    assert seeds == [5, 6, 7, 8, 9]
    whole = [process(CELL, np.random.default_rng(seed), Noise()) for seed in seeds]
    for (read,), expected in zip(parts, whole, strict=True):
        assert np.array_equal(read.times, expected.times)
        assert (read.cell, read.calls, read.subjects) == (expected.cell, expected.calls, expected.subjects)


@pytest.mark.parametrize(
    "damage", [lambda whole: whole[:-30], lambda whole: b"", lambda whole: b"[]"], ids=["cut off", "empty", "other"]
)
def test_a_damaged_file_is_named(seeds: list[int], tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """Not measured again in silence: somebody may know better."""
    pool.measured_pool(PLAN, 1, kept=tmp_path)
    file = tmp_path / "0000.json"
    file.write_bytes(damage(file.read_bytes()))

    with pytest.raises(InvalidInput, match=r"0000.json, which is damaged; accepted: "):
        pool.measured_pool(PLAN, 1, kept=tmp_path)


def test_another_plan_is_refused(seeds: list[int], tmp_path: Path) -> None:
    """A figure is of one plan on one machine; the error names what differs."""
    pool.measured_pool(PLAN, 1, kept=tmp_path)

    with pytest.raises(InvalidInput, match=r"measured with seconds 2.5 and not 9; accepted: "):
        pool.measured_pool(replace(PLAN, seconds=9), 1, kept=tmp_path)


@pytest.mark.parametrize(("fewest", "whole"), [(9, True), (10, False)])
def test_an_interrupted_pool_is_one_of_fewer(seeds: list[int], tmp_path: Path, fewest: int, whole: bool) -> None:
    """Ctrl-C after nine: they count where nine are enough, and lie in the folder in any case."""
    if whole:
        assert len(pool.measured_pool(PLAN, 20, kept=tmp_path, fewest=fewest)) == 9
    else:
        with pytest.raises(KeyboardInterrupt):
            pool.measured_pool(PLAN, 20, kept=tmp_path, fewest=fewest)
    assert len(list(tmp_path.glob("*.json"))) == 9
