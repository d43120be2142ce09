"""Tests of `benchmarks.bench`; not in the wheel."""
