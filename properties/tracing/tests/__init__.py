"""Tests of `properties.tracing`; not in the wheel."""
