"""Tests of `golden`; not in the wheel."""
