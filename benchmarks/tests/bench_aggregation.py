"""Times of the aggregation stage: `pytest benchmarks --benchmark-only`; `conftest.py` beside it has the options."""

from collections.abc import Callable


def bench_aggregation(timed: Callable[[str], None]) -> None:
    """Certified, then timed against the machine's limit: in each mode, for each implementation."""
    timed("aggregation")
