"""One stage under pytest-benchmark: its rounds and its statistics, this project's samples and extra_info."""

from typing import Any

import pytest

from sdtps_ref.benchmarks.bench.measurement import Terms, rows
from sdtps_ref.benchmarks.timing.environment import environment
from sdtps_ref.benchmarks.timing.machine import Machine
from sdtps_ref.benchmarks.workloads.eligibility import Admissions
from sdtps_ref.benchmarks.workloads.implementations import STAGE_METHODS, Subject
from sdtps_ref.benchmarks.workloads.sizes import Size
from sdtps_ref.properties.contract import provided

# pytest-benchmark's statistics are of these samples; few, so that the everyday run stays short.
TERMS = Terms(samples=7, most_seconds=1.0)


def time_stage(
    benchmark: Any,
    subject: Subject,
    stage: str,
    mode: str,
    size: Size,
    dtype: str,
    machine: Machine,
    admissions: Admissions,
) -> None:
    """Measure one row and hand its samples to pytest-benchmark.

    The seconds are the device's own, between CUDA events on a GPU, which no timer around a call can tell; so
    pytest-benchmark is given them, as its statistics of rounds, instead of taking them. Fails, with the law, for what
    must not be timed, and for what is faster than the limit.
    """
    if STAGE_METHODS[stage] not in provided(subject.implementation):
        pytest.skip(f"{subject.name} offers no {STAGE_METHODS[stage]}")
    benchmark.group = f"{stage} {mode}, {size}, {dtype}, {machine.device}"
    (row,) = rows(subject, stage, size, dtype, machine, (mode,), admissions, TERMS)
    if row.times is None:
        pytest.fail(f"{subject.name} is not timed: {row.refusal}", pytrace=False)
    benchmark.extra_info |= environment(machine.device) | row.to_json()
    samples = iter(row.times.device)
    benchmark._timer = _Told()
    benchmark.pedantic(lambda: benchmark._timer.advance(next(samples)), rounds=len(row.times.device), iterations=1)
    if row.error:
        pytest.fail(row.error, pytrace=False)


class _Told:
    """A timer that is told how long a round took."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Another round is over."""
        self.now += seconds
