"""Tests of `benchmarks.workloads`; not in the wheel."""
