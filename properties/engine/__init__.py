"""Judging: settings, schedule, one law on one implementation, in which process, and what comes of it."""
