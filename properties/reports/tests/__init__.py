"""Tests of `properties.reports`; not in the wheel."""
