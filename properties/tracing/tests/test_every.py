"""A run that is sampled: rows, where they go, and nothing between the samples."""

from __future__ import annotations

import csv

import pytest
import torch
from torch import nn

from sdtps_ref import trace
from sdtps_ref.errors import InvalidInput
from sdtps_ref.properties.tracing.rows import FIELDS
from sdtps_ref.properties.tracing.tests.conftest import MASK


def test_csv_has_a_row_a_site_every_so_many_steps(script, tmp_path):
    """Steps 0, 3 and 6 of seven, two sites each; the gain is that of the mask."""
    model, step = script(MASK).start()

    with trace.every(model, steps=3, to=tmp_path / "run.csv"):
        for number in range(7):
            step(number)

    rows = list(csv.DictReader((tmp_path / "run.csv").open()))
    assert tuple(rows[0]) == FIELDS
    assert [int(row["step"]) for row in rows] == [0, 0, 3, 3, 6, 6]
    assert len({row["site"] for row in rows}) == 2
    assert all(3e9 < float(row["gain"]) < 3e10 for row in rows)
    assert all(0 < float(row["entropy"]) < 1 and 0 <= float(row["changed"]) <= 1 for row in rows[2:])


def test_gain_agrees_with_a_trace(script):
    """The sampled numbers are those of `trace` on the same step."""
    rows, module = [], script(MASK)
    model, step = module.start()
    torch.manual_seed(4)
    with trace.every(model, steps=100, to=rows.append):
        step(0)
    model, step = module.start()
    torch.manual_seed(4)
    with trace(model) as seen:
        step(0)

    expected = seen.sites[0]
    assert rows[0]["gain"] == pytest.approx(expected.gain, rel=1e-6)
    assert rows[0]["entropy"] == pytest.approx(expected.soft.entropy, rel=1e-6)
    assert rows[0]["score_gradient"] == pytest.approx(expected.rung("score").norm, rel=1e-6)


def test_the_run_is_the_same_bit_for_bit(script):
    """Parameters after ten steps, sampled and not."""
    ends = []
    for sampled in (False, True):
        model, step = script().start()
        every = trace.every(model, steps=3, to=lambda row: None)
        if sampled:
            every.start()
        for number in range(10):
            step(number)
        every.stop()
        ends.append([p.detach().clone() for p in model.parameters()] + [torch.get_rng_state()])

    assert all(torch.equal(one, other) for one, other in zip(*ends, strict=True))


def test_nothing_is_installed_between_samples(script):
    """No hook on the model and torch's own backward."""
    model, step = script().start()
    original = torch.autograd.backward

    with trace.every(model, steps=5, to=lambda row: None):
        assert torch.autograd.backward is not original
        step(0)
        assert torch.autograd.backward is original
        assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())


def test_tensorboard(script):
    """What has `add_scalar` gets a scalar a number."""
    got = []

    class Writer:
        def add_scalar(self, name, value, step):
            got.append((name, value, step))

    model, step = script().start()
    with trace.every(model, steps=1, to=Writer()):
        step(0)

    assert any(name.endswith("/entropy") for name, _, _ in got)


def test_compiled_runs_eager_when_sampled_only(script):
    """Of a compiled model rows come too."""
    module = script(MASK)
    torch.manual_seed(0)
    model = module.Reader()
    compiled, rows = torch.compile(model, backend="eager"), []
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-12)

    with trace.every(model, steps=2, to=rows.append):
        for number in range(3):
            batch, target = module.data(number)
            nn.functional.cross_entropy(compiled(batch), target).backward()
            optimizer.step()

    assert [row["step"] for row in rows] == [0, 0, 2, 2]


def test_refusals(tmp_path):
    """What is given and what is accepted."""
    model = nn.Linear(1, 1)
    for arguments in ({"steps": 0, "to": print}, {"to": 3}, {"to": tmp_path / "none" / "run.csv"}):
        with pytest.raises(InvalidInput, match="accepted"):
            trace.every(model, **arguments)
