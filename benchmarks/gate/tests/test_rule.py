"""The rule without a clock: on samples whose truth is known, with drift, bursts and autocorrelation."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.gate.tests.simulated import Noise, process
from sdtps_ref.benchmarks.gate.measuring.plan import SLOW, Measured
from sdtps_ref.benchmarks.gate.rule.judging import holm, judge
from sdtps_ref.benchmarks.gate.rule.verdict import (
    INCONCLUSIVE,
    NOT_SLOWER,
    SLOWER,
    Process,
    Rule,
    Verdict,
    decide,
    observe,
    overall,
)
from sdtps_ref.benchmarks.workloads.cells import Cell
from sdtps_ref.benchmarks.workloads.sizes import EVERYDAY

CELLS = tuple(Cell("pipeline", size, mode) for size in EVERYDAY for mode in ("forward", "forward+backward"))
RULE = Rule()
QUIET = Noise(sample=0.02, place=0.002, wander=0.002, bursts=0.02)


def decided(
    make: Callable[[Cell, np.random.Generator, int], Measured], seed: int, cells: Sequence[Cell] = CELLS
) -> tuple[list[Verdict], int]:
    """The verdicts on simulated processes, and how many there were. make: given the cell, and the process's number."""
    rng = np.random.default_rng(seed)
    asked = 0

    def fresh(wanted: Sequence[Cell]) -> Process:
        nonlocal asked
        asked += 1
        return [observe(make(cell, rng, asked), rng) for cell in wanted]

    return decide(cells, fresh, RULE), asked


def says(slowdown: float, seed: int, noise: Noise | None = None, cells: Sequence[Cell] = CELLS[:2]) -> str:
    """What the gate says of HEAD that is slower in the first cell only."""
    noise = noise or Noise()

    def make(cell: Cell, rng: np.random.Generator, _: int) -> Measured:
        return process(cell, rng, noise, slowdown=slowdown if cell == cells[0] else 0.0)

    return overall(decided(make, seed, cells)[0])


@pytest.mark.parametrize(("slowdown", "expected"), [(0.0, NOT_SLOWER), (-0.05, NOT_SLOWER), (0.05, SLOWER)])
def test_the_truth_is_told(slowdown: float, expected: str) -> None:
    """Twenty times out of twenty, on a shared machine: the same code and faster code pass, 5 % slower code does not."""
    said = [says(slowdown, seed) for seed in range(20)]

    assert [expected] * 20 == said


def test_less_than_the_tolerance_is_not_called_slower() -> None:
    """1 % slower passes: twenty times out of twenty."""
    said = [says(0.01, seed) for seed in range(20)]

    assert said == [NOT_SLOWER] * 20


@pytest.mark.slow
def test_too_noisy_a_machine_is_no_pass_and_no_accusation() -> None:
    """Where 5 % cannot be told from noise, it says so, or at least never accuses the same code."""
    said = [says(0.0, seed, Noise(sample=0.5, place=0.05, wander=0.2)) for seed in range(20)]

    assert SLOWER not in said
    assert said.count(INCONCLUSIVE) >= 15


def test_one_bad_process_accuses_nobody() -> None:
    """A process in which HEAD lies badly in memory, 10 % slower throughout, changes no verdict."""

    def make(cell: Cell, rng: np.random.Generator, number: int) -> Measured:
        return process(cell, rng, QUIET, slowdown=0.1 if number == 1 else 0.0)

    verdicts, asked = decided(make, 0)

    assert overall(verdicts) == NOT_SLOWER
    assert asked == 3


def test_a_suspicion_is_dropped_where_fresh_processes_disagree() -> None:
    """Three processes call it slower, five more do not: not slower, and it says so."""

    def make(cell: Cell, rng: np.random.Generator, number: int) -> Measured:
        return process(cell, rng, QUIET, slowdown=0.05 if number <= 3 else 0.0)

    verdicts, asked = decided(make, 0, CELLS[:1])

    assert verdicts[0].says == NOT_SLOWER
    assert verdicts[0].why.startswith("not confirmed: 3 processes +")
    assert asked == 8


def test_processes_that_contradict_each_other_are_no_pass() -> None:
    """Not slower in three processes whose control failed, slower in five more: inconclusive."""

    def make(cell: Cell, rng: np.random.Generator, number: int) -> Measured:
        early = number <= 3
        return process(cell, rng, QUIET, slowdown=0.0 if early else 0.06, again=0.05 if early else 0.0)

    verdicts, _ = decided(make, 0, CELLS[:1])

    assert verdicts[0].says == INCONCLUSIVE
    assert verdicts[0].why.startswith("they do not agree: 3 processes ")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"again": 0.05}, "BASE differs from its own copy"),
        ({"again": -0.05}, "BASE differs from its own copy"),
        ({"dose": 0.10}, "the copy to be slowed by 5.0% was slowed by 10.0%"),
        ({"dose": 0.02}, "the copy to be slowed by 5.0% was slowed by 2.0%"),
    ],
)
@pytest.mark.parametrize("slowdown", [0.0, 0.1])
def test_a_failed_control_is_never_a_verdict(slowdown: float, wrong: dict[str, float], reason: str) -> None:
    """A/A told apart, or a slowed copy that is none: inconclusive, however HEAD looks."""

    def make(cell: Cell, rng: np.random.Generator, _: int) -> Measured:
        return process(cell, rng, QUIET, slowdown=slowdown, **wrong)

    verdicts, asked = decided(make, 0, CELLS[:1])

    assert overall(verdicts) == INCONCLUSIVE
    assert verdicts[0].why.startswith(reason)
    assert asked == 8


def test_a_slowed_copy_that_is_not_seen_is_inconclusive() -> None:
    """The filler says 5 %, the samples show none of it: whatever measures is broken."""

    def make(cell: Cell, rng: np.random.Generator, _: int) -> Measured:
        seen = process(cell, rng, QUIET, dose=0.0)
        return replace(seen, subjects=seen.subjects | {SLOW: 0.05})

    verdicts, _ = decided(make, 0, CELLS[:1])

    assert overall(verdicts) == INCONCLUSIVE
    assert "was not seen" in verdicts[0].why


def test_a_slower_cell_outweighs_an_inconclusive_one() -> None:
    """Its own controls held."""

    def make(cell: Cell, rng: np.random.Generator, _: int) -> Measured:
        first = cell == CELLS[0]
        return process(cell, rng, QUIET, slowdown=0.08 * first, again=0.05 * (not first))

    verdicts, _ = decided(make, 0, CELLS[:2])

    assert [verdict.says for verdict in verdicts] == [SLOWER, INCONCLUSIVE]
    assert overall(verdicts) == SLOWER


def test_only_cells_in_doubt_are_measured_again() -> None:
    """The five fresh processes leave out what has passed."""
    asked: list[int] = []
    rng = np.random.default_rng(0)

    def fresh(wanted: Sequence[Cell]) -> Process:
        asked.append(len(wanted))
        slow = [0.08 if cell == CELLS[1] else 0.0 for cell in wanted]
        return [observe(process(cell, rng, QUIET, slowdown=s), rng) for cell, s in zip(wanted, slow, strict=True)]

    verdicts = decide(CELLS, fresh, RULE)

    assert asked == [4, 4, 4, 1, 1, 1, 1, 1]
    assert [verdict.says for verdict in verdicts] == [NOT_SLOWER, SLOWER, NOT_SLOWER, NOT_SLOWER]


def test_the_ratio_is_the_truth() -> None:
    """5 % slower reads as 5 %, to within half a percent, and the bound lies below it and above 0."""
    rng = np.random.default_rng(1)
    seen = [observe(process(CELLS[0], rng, QUIET, slowdown=0.05, rounds=60), rng) for _ in range(8)]

    judgement = judge([one.head for one in seen], rng)

    assert abs(judgement.percent - 5) < 0.5
    assert 0 < judgement.lower < judgement.ratio


def test_holm_is_holm() -> None:
    """level / m for the smallest, level / (m - 1) for the next, and nothing after the first that fails."""
    levels = holm([0.04, 0.001, 0.03, 0.004], 0.012)

    assert pytest.approx(levels) == [0.0, 0.003, 0.006, 0.004]
