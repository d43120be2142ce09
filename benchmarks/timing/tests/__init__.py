"""Tests of `benchmarks.timing`; not in the wheel."""
