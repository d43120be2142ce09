"""Tests of `properties.watching`; not in the wheel."""
