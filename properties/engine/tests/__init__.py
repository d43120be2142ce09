"""Tests of `properties.engine`; not in the wheel."""
