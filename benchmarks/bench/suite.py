"""All that `sdtps bench` measures, table by table."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from sdtps_ref.benchmarks.bench.measurement import Row, Terms, rows
from sdtps_ref.benchmarks.timing.environment import environment, why_no_gpu
from sdtps_ref.benchmarks.timing.machine import Machine
from sdtps_ref.benchmarks.workloads.eligibility import Admissions
from sdtps_ref.benchmarks.workloads.implementations import Subject
from sdtps_ref.benchmarks.workloads.sizes import Size

Announce = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What is to be measured: everything with everything."""

    subjects: tuple[Subject, ...]
    stages: tuple[str, ...]
    modes: tuple[str, ...]
    sizes: tuple[Size, ...]
    dtypes: tuple[str, ...]
    devices: tuple[str, ...]
    terms: Terms = field(default_factory=Terms)
    calls: tuple[Subject, ...] = ()  # known by one call of their own, and timed by that alone

    @property
    def steps(self) -> int:
        """How many times something is announced."""
        return math.prod(map(len, (self.subjects, self.stages, self.sizes, self.dtypes, self.devices)))


def run(plan: Plan, machines: dict[str, Machine], admissions: Admissions, announce: Announce) -> Iterator[list[Row]]:
    """The rows of one table after another. announce: called with what comes next, `plan.steps` times."""
    for device, stage, dtype, size in product(plan.devices, plan.stages, plan.dtypes, plan.sizes):
        together: list[Row] = []
        for subject in plan.subjects:
            announce(f"{subject.name}: {stage}, {size}, {dtype}, {device}")
            together += rows(subject, stage, size, dtype, machines[device], plan.modes, admissions, plan.terms)
        yield together


def record(done: Sequence[Row], machines: dict[str, Machine]) -> dict[str, Any]:
    """Plain data of a whole run."""
    return {
        "format": "sdtps-bench/1",
        "environment": {device: environment(device) for device in machines},
        "machine": {device: machine.to_json() for device, machine in machines.items()},
        "no_gpu": why_no_gpu(),
        "rows": [row.to_json() for row in done],
    }
