"""Tests of `properties.maintenance`; not in the wheel."""
