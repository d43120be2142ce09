"""Tests of `benchmarks.history`; not in the wheel."""
