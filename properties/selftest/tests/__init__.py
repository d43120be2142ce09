"""Tests of `properties.selftest`; not in the wheel."""
