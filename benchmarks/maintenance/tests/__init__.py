"""Tests of `benchmarks.maintenance`; not in the wheel."""
