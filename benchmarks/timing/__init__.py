"""Seconds, and what the machine allows at most."""
