"""Where the time beyond the limit goes: between the operators, into memory that need not be touched, or inside them."""

from dataclasses import dataclass

from sdtps_ref.benchmarks.timing.counting import Counts
from sdtps_ref.benchmarks.timing.limits import Work
from sdtps_ref.benchmarks.timing.machine import Limit, Machine


@dataclass(frozen=True)
class Beyond:
    """Seconds beyond the limit, in three parts that add up to all of them."""

    launches: float  # launch gaps: the device waits for the next operator
    traffic: float  # excess traffic: bytes and FLOPs that the operators need as they are, beyond the least
    kernels: float  # kernel inefficiency: operators that are slower than the machine

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.launches + self.traffic + self.kernels


def floor(counts: Counts, machine: Machine, dtype: str) -> float:
    """Seconds for the operators as they are, each at the machine's limit and none with a launch."""

    def least(moved: int, flops: int) -> float:
        return max(moved / machine.bandwidth(moved), flops / machine.matrix_rate(dtype) if flops else 0.0)

    return sum(least(operator.bytes, operator.flops) for operator in counts.operators)


def beyond(seconds: float, limit: Limit, launches: float, operators: float | None) -> Beyond:
    """Split what `seconds` has beyond the limit.

    launches: seconds between operators beyond the one launch of the limit. operators: `floor`, None where the
    operators cannot be seen; excess traffic is then counted with the kernels. A part can be no more than is
    left: operators whose data stay in a cache beat the floor.
    """
    rest = max(0.0, seconds - limit.seconds)
    waited = min(rest, max(0.0, launches))
    excess = 0.0 if operators is None else max(0.0, operators - max(limit.memory, limit.matrix))
    moved = min(rest - waited, excess)
    return Beyond(waited, moved, rest - waited - moved)


def excess_ratio(counts: Counts, work: Work, itemsize: int) -> float:
    """Bytes that the operators move, over the least."""
    return counts.bytes / work.bytes(itemsize)
