"""The inputs' values: a 64-bit integer generator in plain Python, and floats on a coarse binary grid.

No library's random stream is used, because those change between versions. The generator is SplitMix64
(Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014):

    state <- state + 0x9E3779B97F4A7C15
    z <- (state xor state >> 30) * 0xBF58476D1CE4E5B9
    z <- (z xor z >> 27) * 0x94D049BB133111EB
    next  =  z xor z >> 31                  all modulo 2^64; the state starts as the seed

and an integer below n is (next * n) >> 64.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MASK = (1 << 64) - 1


class Draw:
    """A stream of integers and grid floats from one seed."""

    def __init__(self, seed: int):
        self._state = seed & _MASK

    def bits(self) -> int:
        """The next 64 bits."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31)

    def below(self, count: int) -> int:
        """An integer from 0 to count - 1."""
        return (self.bits() * count) >> 64

    def grid(self, *shape: int, low: int = -96, high: int = 96, step: float = 1 / 32) -> NDArray[np.float64]:
        """step * an integer from `low` to `high`, both included, in row-major order.

        With fewer than 8 bits and a power of two as the step, a number of all three float formats.
        """
        count = int(np.prod(shape, dtype=np.int64))
        return np.array([step * (low + self.below(high - low + 1)) for _ in range(count)]).reshape(shape)

    def rows(self, batch: int, length: int, step: float = 1 / 16) -> NDArray[np.float64]:
        """B N: every row a shuffle of distinct grid numbers around zero, at least `step` apart."""
        return np.stack([self._row(length, step) for _ in range(batch)])

    def uniforms(self, *shape: int) -> NDArray[np.float64]:
        """Odd multiples of 1/256: inside (0, 1) and numbers of all three float formats."""
        return (2 * self.grid(*shape, low=0, high=127, step=1.0) + 1) / 256

    def _row(self, length: int, step: float) -> NDArray[np.float64]:
        pool = list(range(-64, 64)) if length < 64 else list(range(-length, length))
        for last in range(len(pool) - 1, 0, -1):  # Fisher-Yates
            other = self.below(last + 1)
            pool[last], pool[other] = pool[other], pool[last]
        return step * np.array(pool[:length], dtype=np.float64)


@dataclass(frozen=True)
class Recipe:
    """An input too large to be written out: `Draw(seed)`'s first numbers, step * (low + below(high - low + 1))."""

    seed: int
    shape: tuple[int, ...]
    low: int
    high: int
    step: float

    def array(self) -> NDArray[np.float64]:
        """The values."""
        return Draw(self.seed).grid(*self.shape, low=self.low, high=self.high, step=self.step)
