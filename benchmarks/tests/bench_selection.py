"""Times of the selection stage: `pytest benchmarks --benchmark-only`; `conftest.py` beside it has the options."""

from collections.abc import Callable


def bench_selection(timed: Callable[[str], None]) -> None:
    """Certified, then timed against the machine's limit: in each mode, for each implementation."""
    timed("selection")
