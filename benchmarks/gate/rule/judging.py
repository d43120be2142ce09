"""Is a subject slower than BASE: the median over processes of medians of paired log ratios, with a bootstrap's bound.

A bootstrap of three processes alone is too optimistic (measured: 2.5 to 6 % false alarms where 1 % was asked for), so
it never accuses by itself: the ratio has to pass the tolerance as well, and fresh processes have to agree.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEVEL = 0.01  # of the one-sided bound, and shared by the cells
DRAWS = 1000  # of one process
REPLICATES = 4000  # of several together, at least


@dataclass(frozen=True)
class Evidence:
    """One process on one subject. ratio: the median log ratio to BASE; draws: that of each bootstrap replicate."""

    ratio: float
    draws: Array


@dataclass(frozen=True)
class Judgement:
    """Several processes together. ratio and lower: logs; chance: of a ratio of 1 or less, among the replicates."""

    ratio: float
    lower: float
    chance: float
    processes: int

    @property
    def percent(self) -> float:
        """How much slower, in percent."""
        return 100 * math.expm1(self.ratio)

    @property
    def lower_percent(self) -> float:
        """The lower bound, in percent."""
        return 100 * math.expm1(self.lower)

    def slower(self, tolerance: float, level: float = LEVEL) -> bool:
        """The ratio passes the tolerance (0.025 for 2.5 %), and chance would not explain that it is above one."""
        return self.ratio > math.log1p(tolerance) and self.chance <= level


def evidence(logs: Array, rng: np.random.Generator) -> Evidence:
    """logs: paired log ratios, blocks by rounds. Blocks are resampled whole: neighbours in time are alike."""
    blocks = len(logs)
    chosen = rng.integers(blocks, size=(DRAWS, blocks))
    draws = np.median(logs[chosen].reshape(DRAWS, -1), axis=1)
    return Evidence(float(np.median(logs)), draws)


def judge(processes: Sequence[Evidence], rng: np.random.Generator, replicates: int = REPLICATES) -> Judgement:
    """Processes are resampled, and within each its blocks: a process may lie well or badly in memory as a whole."""
    count = len(processes)
    every = np.stack([process.draws for process in processes])  # processes, replicates
    chosen = rng.integers(count, size=(replicates, count))
    within = rng.integers(every.shape[1], size=(replicates, count))
    draws = np.median(every[chosen, within], axis=1)
    ratio = float(np.median([process.ratio for process in processes]))
    chance = (1 + int((draws <= 0).sum())) / (1 + replicates)
    return Judgement(ratio, float(np.quantile(draws, LEVEL)), chance, count)


def holm(chances: Sequence[float], level: float = LEVEL) -> list[float]:
    """The level that each of several chances is held to, so that all together are wrong with `level` or less.

    Source: Holm 1979: the smallest of m is held to level / m, the next to level / (m - 1), until one fails.
    """
    levels = [0.0] * len(chances)
    for rank, index in enumerate(sorted(range(len(chances)), key=lambda i: chances[i])):
        levels[index] = level / (len(chances) - rank)
        if chances[index] > levels[index]:
            break
    return levels
