"""Tests of `benchmarks.trainability`; not in the wheel."""
