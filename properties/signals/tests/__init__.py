"""Tests of `properties.signals`; not in the wheel."""
