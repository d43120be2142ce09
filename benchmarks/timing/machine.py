"""What this machine can do, measured: bytes a second, FLOPs a second, and the time of an operator that does nothing.

These bound what is timed, so they are as favourable as can be: the best of several ways and of all samples. What a
busy machine adds would make the limit look nearer than it is; so they are measured with all of torch's threads and
with one, which waits for no other, and again where something was faster.
"""

import math
from dataclasses import dataclass, field, replace

import torch

from sdtps_ref.benchmarks.timing.clock import HostClock, clock_for
from sdtps_ref.benchmarks.timing.limits import Work
from sdtps_ref.benchmarks.timing.timing import Call, least_seconds, measure

# Sides of square matrices; the best of them counts, for small ones stay in cache and large ones fill a GPU.
MATRIX_SIDES = {"cpu": (256, 512, 1024), "cuda": (2048, 4096, 8192)}
LEAST_WORKING_SET = 2**18  # bytes; below, a copy is little more than its launch
SAMPLES = 15
ATTEMPTS = 3  # at a limit that something was faster than: what is still faster then is no matter of a busy machine


@dataclass(frozen=True)
class Limit:
    """The least time that some work takes on a machine, seconds."""

    memory: float  # least bytes over bandwidth
    matrix: float  # FLOPs over the matrix rate
    launch: float  # one operator: there is at least one

    @property
    def seconds(self) -> float:
        """max(bytes / bandwidth, FLOPs / rate) + launch: the two can overlap, a launch comes first."""
        return max(self.memory, self.matrix) + self.launch

    @property
    def bound_by(self) -> str:
        """What the limit mostly consists of."""
        return max(("memory", "matrix", "launch"), key=lambda part: getattr(self, part))


@dataclass
class Machine:
    """One device, measured when it is first asked, and in this run alone. It does nothing else meanwhile."""

    device: str
    clock: HostClock
    _launch: list[float] = field(default_factory=list)
    _bandwidths: dict[int, float] = field(default_factory=dict)
    _rates: dict[str, float] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """cpu or cuda."""
        return torch.device(self.device).type

    @property
    def launch(self) -> float:
        """Seconds of an operator on one element."""
        if not self._launch:
            one = torch.zeros(1, device=self.device)
            self._launch.append(self._best(one.zero_))
        return self._launch[0]

    def bandwidth(self, working_set: int) -> float:
        """Bytes a second, read and written, when `working_set` bytes are in use.

        Rounded down to a power of two, which caches can only favour: what fits in a cache is faster than memory, so
        the limit of a small workload is measured on a small copy. The fastest of copying, reading and writing, for
        a stage that mostly reads must not beat a limit that was made by copying. What a set of twice the size is
        moved at, one of this size can be moved at too.
        """
        size = 2 ** (max(working_set, LEAST_WORKING_SET).bit_length() - 1)
        for measured in (size, 2 * size):
            if measured not in self._bandwidths:
                self._bandwidths[measured] = self._measured_bandwidth(measured)
        return max(self._bandwidths[size], self._bandwidths[2 * size])

    def matrix_rate(self, dtype: str) -> float:
        """FLOPs a second of a matrix product in that dtype, under torch's settings as they are (TF32, threads)."""
        if dtype not in self._rates:
            self._rates[dtype] = max(self._measured_rate(side, dtype) for side in MATRIX_SIDES[self.kind])
        return self._rates[dtype]

    def limit(self, work: Work, dtype: str, taken: float = math.inf) -> Limit:
        """Of that work in that dtype. taken: seconds in which it was seen done; a limit above is measured again."""
        limit = self._limit(work, dtype)
        for _ in range(ATTEMPTS - 1):
            if taken >= limit.seconds:
                break
            self._measure_again(work, dtype)
            limit = self._limit(work, dtype)
        return limit

    def _measure_again(self, work: Work, dtype: str) -> None:
        """What bounds that work; of both measurements the more favourable one counts."""
        anew = replace(self, _launch=[], _bandwidths={}, _rates={})
        anew._limit(work, dtype)
        self._launch = [min(self._launch + anew._launch)]
        self._bandwidths.update((size, max(rate, self._bandwidths[size])) for size, rate in anew._bandwidths.items())
        self._rates.update((dtype, max(rate, self._rates[dtype])) for dtype, rate in anew._rates.items())

    def _limit(self, work: Work, dtype: str) -> Limit:
        moved = work.bytes(getattr(torch, dtype).itemsize)
        matrix = work.flops / self.matrix_rate(dtype) if work.flops else 0.0
        return Limit(moved / self.bandwidth(moved), matrix, self.launch)

    def to_json(self) -> dict[str, object]:
        """What has been measured so far, in seconds, bytes and FLOPs a second."""
        return {
            "device": self.device,
            "launch_seconds": self.launch,
            "bytes_per_second": {str(size): rate for size, rate in sorted(self._bandwidths.items())},
            "flops_per_second": dict(sorted(self._rates.items())),
        }

    def _measured_bandwidth(self, size: int) -> float:
        half, whole = (torch.ones(count // 4, device=self.device) for count in (size // 2, size))
        other = torch.empty_like(half)
        ways = (lambda: other.copy_(half), whole.sum, whole.zero_)
        # The launch is counted apart.
        return max(size / max(self._best(way) - self.launch, 1e-9) for way in ways)

    def _measured_rate(self, side: int, dtype: str) -> float:
        torch_dtype = getattr(torch, dtype)
        one, other = (torch.ones(side, side, dtype=torch_dtype, device=self.device) for _ in range(2))
        product = torch.empty_like(one)
        return 2 * side**3 / self._best(lambda: torch.mm(one, other, out=product))

    @torch.no_grad()
    def _best(self, call: Call) -> float:
        """Its shortest time. On a CPU with one thread too: of several, each waits for the one that waits for a core."""
        threads = torch.get_num_threads()
        found = []
        try:
            for used in {threads, 1} if self.kind == "cpu" else {threads}:
                torch.set_num_threads(used)
                found.append(self._least(call))
        finally:
            torch.set_num_threads(threads)
        return min(found)

    def _least(self, call: Call) -> float:
        least = least_seconds(self.device)
        return measure([call], self.clock, least=least, samples=SAMPLES, most_seconds=1.0).least


def machine(device: str) -> Machine:
    """The machine behind that device."""
    return Machine(device, clock_for(device))
