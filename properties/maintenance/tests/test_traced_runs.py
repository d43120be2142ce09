"""Sick and healthy runs: in everyday tests their first steps, in the environment `trace` a hundred."""

from __future__ import annotations

import pytest

from sdtps_ref.properties.maintenance.traced_runs import rehearsal
from sdtps_ref.properties.maintenance.traced_runs.catalogue import HEALTHY, SICK


@pytest.mark.parametrize("run", SICK, ids=lambda run: run.name)
def test_the_cause_is_named(run, tmp_path):
    """At the first step where it can be seen, with its line."""
    outcome = rehearsal.sick(run, tmp_path, steps=run.first + 1)

    assert outcome.right, rehearsal.row(outcome)


@pytest.mark.parametrize("run", HEALTHY, ids=lambda run: run.name)
def test_nobody_is_accused(run, tmp_path):
    """In the first two steps."""
    outcome = rehearsal.healthy(run, tmp_path, steps=2)

    assert outcome.right, rehearsal.row(outcome)


@pytest.mark.long
@pytest.mark.parametrize("run", HEALTHY, ids=lambda run: run.name)
def test_nobody_is_accused_in_a_hundred_steps(run, tmp_path):
    """Whatever the parameters have become."""
    outcome = rehearsal.healthy(run, tmp_path)

    assert outcome.right, rehearsal.row(outcome)
