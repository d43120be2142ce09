"""Changes of level in series of which the truth is known."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from sdtps_ref.benchmarks.history.change_points import FEWEST, FLOOR, changes, noise
from sdtps_ref.errors import InvalidInput

LENGTH, STEP_AT, SERIES = 40, 24, 40
SPREAD = 0.015  # of the log ratio from one record to the next, as measured on a shared machine

Noise = Callable[[np.random.Generator], np.ndarray]
NOISES: dict[str, Noise] = {
    "normal": lambda random: random.normal(size=LENGTH),
    "heavy tails": lambda random: random.standard_t(3, size=LENGTH) / math.sqrt(3),
    "wild records": lambda random: random.normal(size=LENGTH) + 8 * (random.random(LENGTH) < 0.05),
}


def ratios(draw: Noise, seed: int, step: float) -> list[float]:
    """A level of 1.1 that rises by `step` at STEP_AT, in noise."""
    logs = SPREAD * draw(np.random.default_rng(seed))
    logs[STEP_AT:] += math.log1p(step)
    return list(1.1 * np.exp(logs))


@pytest.mark.parametrize("kind", NOISES)
def test_no_change_no_mark(kind: str) -> None:
    """At most one series of forty: at a rate of 1 % more than that has a probability of 6 %, at 10 % of 92 %."""
    marked = sum(bool(changes(ratios(NOISES[kind], seed, 0))) for seed in range(SERIES))

    assert marked <= 1


@pytest.mark.parametrize("step", [0.05, -0.05])
@pytest.mark.parametrize("kind", NOISES)
def test_a_step_of_5_percent_is_marked_where_it_is(kind: str, step: float) -> None:
    """Within two records of its place, of the right sign and size, and nothing else; in nine series of ten."""
    right = 0
    for seed in range(SERIES):
        found = changes(ratios(NOISES[kind], seed, step))
        right += len(found) == 1 and abs(found[0].index - STEP_AT) <= 2 and abs(found[0].percent / 100 - step) < 0.02

    assert right >= 0.9 * SERIES


def test_two_steps_are_two_marks() -> None:
    """Up by 10 %, and back."""
    random = np.random.default_rng(0)
    logs = 0.01 * random.normal(size=60)
    logs[20:40] += math.log(1.1)

    found = changes(list(np.exp(logs)))

    assert [change.percent > 0 for change in found] == [True, False]
    assert [change.index for change in found] == pytest.approx([20, 40], abs=1)


def test_one_wild_record_is_no_change() -> None:
    """Ten times the time, once: a bad day, not a level."""
    logs = 0.01 * np.random.default_rng(0).normal(size=30)
    logs[12] += math.log(10)

    assert changes(list(np.exp(logs))) == ()


def test_too_few_records_say_nothing() -> None:
    """However large the step: ten are the fewest, five on each side."""
    assert FEWEST == 10
    assert changes([1.0] * 4 + [2.0] * 5) == ()
    assert changes([1.0] * 8 + [2.0] * 2) == ()
    assert [change.index for change in changes([1.0] * 5 + [2.0] * 5)] == [5]


def test_records_that_agree_to_the_digit_are_believed_to_the_floor_only() -> None:
    """A step far below what can be measured is no change, though there is no noise to hide it."""
    assert noise([0.0] * 20) == FLOOR
    assert changes([1.0] * 15 + [1.001] * 15) == ()


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, math.inf])
def test_what_is_no_ratio_is_refused(wrong: float) -> None:
    """It would poison every sum."""
    with pytest.raises(InvalidInput, match="accepted: finite numbers above 0"):
        changes([1.0] * 12 + [wrong])
