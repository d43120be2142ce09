"""Tests of `properties.pytest_plugin`; not in the wheel."""
