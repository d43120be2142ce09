"""Tests of `benchmarks`; not in the wheel."""
