"""Tests of `properties.certificates`; not in the wheel."""
