"""Tests of `properties.targets`; not in the wheel."""
