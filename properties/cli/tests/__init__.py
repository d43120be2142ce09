"""Tests of `properties.cli`; not in the wheel."""
