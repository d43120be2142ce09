"""Samples of known truth: what a noisy shared machine would show of subjects that are as slow as they are said to be.

Nothing is measured here. The rule is tested on it, for nobody knows the truth of a real machine.
"""

from dataclasses import dataclass

import numpy as np

from sdtps_ref.benchmarks.gate.measuring.plan import AGAIN, BASE, BLOCKS, DOSE, SLOW, Measured, head_name
from sdtps_ref.benchmarks.workloads.cells import Cell


@dataclass(frozen=True)
class Noise:
    """All as standard deviations of logs, or shares of samples.

    sample: of one sample alone. place: of a subject in a process, as it lies in memory; wander: from block to block.
    drift: of the machine from round to round, autocorrelated, the same for all subjects of a round. bursts: the share
    of samples that a neighbour disturbs; burst: the mean of how much longer they take.
    """

    sample: float = 0.06
    place: float = 0.004
    drift: float = 0.05
    wander: float = 0.005
    bursts: float = 0.1
    burst: float = 1.0


def process(
    cell: Cell,
    rng: np.random.Generator,
    noise: Noise,
    *,
    slowdown: float = 0.0,
    dose: float = DOSE,
    again: float = 0.0,
    rounds: int = 16,
) -> Measured:
    """What one process would measure. slowdown: of HEAD, 0.05 for 5 % more time than BASE; again: of the A/A copy."""
    shape = (BLOCKS, rounds, 4)
    truth = np.log1p([0.0, again, dose, slowdown])
    steps = rng.normal(size=(BLOCKS * rounds, 1))
    for i in range(1, len(steps)):
        steps[i] = 0.9 * steps[i - 1] + (1 - 0.9**2) ** 0.5 * steps[i]
    logs = np.log(1e-3) + truth + noise.drift * steps.reshape(BLOCKS, rounds, 1)
    logs = logs + noise.place * rng.normal(size=4)
    logs = logs + noise.wander * rng.normal(size=(BLOCKS, 1, 4))
    logs = logs + noise.sample * rng.normal(size=shape)
    subjects = {BASE: 0.0, AGAIN: 0.0, SLOW: dose, head_name(): 0.0}
    disturbed = rng.random(shape) < noise.bursts
    return Measured(cell, np.exp(logs) * (1 + disturbed * rng.exponential(noise.burst, shape)), 1, subjects)
