"""Tests of `properties.kit`; not in the wheel."""
