"""Tests of `properties.engine.causes`; not in the wheel."""
