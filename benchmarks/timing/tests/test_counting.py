"""Operators, bytes, FLOPs and memory of calls that can be counted by hand."""

import pytest
import torch

from sdtps_ref.benchmarks.timing.clock import HostClock
from sdtps_ref.benchmarks.timing.counting import Counts, Operator, count
from sdtps_ref.benchmarks.timing.limits import work
from sdtps_ref.benchmarks.timing.machine import Limit, Machine
from sdtps_ref.benchmarks.timing.overhead import Beyond, beyond, floor
from sdtps_ref.benchmarks.workloads import workloads
from sdtps_ref.benchmarks.workloads.sizes import EVERYDAY
from sdtps_ref.benchmarks.workloads.workload import MODES
from sdtps_ref.properties.reference import Reference


def test_an_operator_moves_what_it_reads_and_writes() -> None:
    """A product of 8 x 4 and 4 x 2 in float32: 32 + 8 + 16 entries, 2 * 8 * 4 * 2 FLOPs; the result is held."""
    one, other = torch.ones(8, 4), torch.ones(4, 2)

    counts = count(lambda: one @ other)

    expected = Counts((Operator("aten::mm", 4 * (32 + 8 + 16), 128),), peak_bytes=64)
    assert expected == counts


def test_a_view_is_no_operator_and_an_expanded_tensor_is_as_small_as_it_is() -> None:
    """Neither moves a byte that is not there."""
    row = torch.ones(1, 10)

    counts = count(lambda: row.expand(1000, 10).t().unsqueeze(0).neg())

    expected = Operator("aten::neg", 40 + 40_000, 0)
    assert (expected,) == counts.operators


def test_peak_memory_is_what_is_held_at_once() -> None:
    """Three results of 4 kB in a row, the one before let go each time: two at once."""
    start = torch.ones(1000)

    def in_a_row() -> None:
        held = start + 1
        held = held + 1
        held = held + 1

    counts = count(in_a_row)

    expected = (3, 8000)
    assert expected == (len(counts.operators), counts.peak_bytes)


def test_asking_for_a_value_is_a_synchronisation() -> None:
    """A check for NaN asks the GPU."""
    numbers = torch.ones(4)

    counts = count(lambda: bool(torch.isnan(numbers).any()))

    assert counts.synchronisations == 1


@pytest.mark.parametrize("mode", MODES)
def test_counts_are_exact_and_flops_those_of_the_formula(mode: str) -> None:
    """Twice the same, and matrix products are those that the paper asks for."""
    workload = workloads.make(Reference("log"), "aggregation", EVERYDAY[0], "float32", "cpu")

    first, second = (count(workload.call(mode)) for _ in range(2))

    assert first == second
    assert first.flops == work("aggregation", mode, EVERYDAY[0]).flops


class Level(Machine):
    """A machine of 100 bytes and 1000 FLOPs a second."""

    def bandwidth(self, working_set: int) -> float:
        """Bytes a second."""
        return 100.0

    def matrix_rate(self, dtype: str) -> float:
        """FLOPs a second."""
        return 1000.0


def test_operators_have_a_floor_of_their_own() -> None:
    """Each is bound by bytes or by FLOPs: 2 s and 5 s."""
    counts = Counts((Operator("a", 200, 1000), Operator("b", 100, 5000)), 0)

    seconds = floor(counts, Level("cpu", HostClock()), "float32")

    assert seconds == 7.0


@pytest.mark.parametrize(
    ("seconds", "launches", "operators", "expected"),
    [
        (10.0, 2.0, 5.0, Beyond(2.0, 3.0, 2.0)),
        (10.0, 2.0, None, Beyond(2.0, 0.0, 5.0)),  # operators that cannot be seen
        (6.0, 2.0, 5.0, Beyond(2.0, 1.0, 0.0)),  # no more than is left: data stay in a cache
        (4.0, 9.0, 5.0, Beyond(1.0, 0.0, 0.0)),
        (2.0, 1.0, 5.0, Beyond(0.0, 0.0, 0.0)),  # faster than the limit has nothing to split
    ],
)
def test_time_beyond_the_limit_is_split_in_three(
    seconds: float, launches: float, operators: float | None, expected: Beyond
) -> None:
    """Launch gaps first, then excess traffic, the rest is the kernels': they add up to all there is."""
    limit = Limit(memory=2.0, matrix=1.0, launch=1.0)

    parts = beyond(seconds, limit, launches, operators)

    assert expected == parts
    assert parts.seconds == max(0.0, seconds - limit.seconds)
