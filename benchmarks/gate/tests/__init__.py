"""Tests of `benchmarks.gate`; not in the wheel."""
