"""What is no ordinary step: an error that says so, or the user's own; and nothing mixed."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

from sdtps_ref import trace
from sdtps_ref.errors import InvalidInput
from sdtps_ref.properties.tracing.result import TraceFailure
from sdtps_ref.properties.tracing.tests.conftest import MASK


def test_a_forward_that_raises_passes_through(script):
    """The user's own exception, unchanged; what was seen until then is printed."""
    module = script(("return self.head(", 'raise KeyError("mine"); return self.head('))
    model = module.Reader()

    with pytest.raises(KeyError, match="mine"), trace(model) as seen:
        model(module.data(0)[0])

    assert "KeyError" in str(seen)
    assert "topk" in seen.sites[0].lines["ranking"].text


def test_no_selection():
    """Three lines: what was watched, and why it may be hidden."""
    model = nn.Sequential(nn.Linear(8, 8), nn.Softmax(-1))

    with trace(model) as seen:
        model(torch.randn(2, 8)).square().sum().backward()

    assert len(seen.nothing) == 3
    assert "softmaxes over 8" in seen.nothing[0]
    assert "torch.jit" in str(seen)
    with pytest.raises(TraceFailure):
        seen.check()


def test_no_backward(script):
    """The sites are told, the ladder is missing, and it says so."""
    module = script()
    model = module.Reader()

    with trace(model) as seen:
        model(module.data(0)[0])

    assert "no backward pass" in str(seen)
    assert seen.sites and not seen.sites[0].rungs
    assert "UNDECIDED" in str(seen)


def test_gradients_that_are_handed_back(script):
    """`torch.autograd.grad` is a backward pass too, and gives what it gives untraced."""
    module = script(MASK)
    model = module.Reader()
    batch, target = module.data(0)

    def run():
        torch.manual_seed(1)
        return torch.autograd.grad(nn.functional.cross_entropy(model(batch), target), list(model.parameters()))

    with trace(model) as seen:
        found = run()

    assert seen.cause.kind == "call.gain_is_about_one"
    assert all(torch.equal(one, other) for one, other in zip(found, run(), strict=True))


def test_trouble_of_its_own_leaves_training_alone(script, monkeypatch):
    """What a trace stumbles over is a note, and the gradients are there."""
    module = script(MASK)
    model = module.Reader()
    batch, target = module.data(0)
    monkeypatch.setattr("sdtps_ref.properties.tracing.tracer.tell", lambda *a, **k: 1 / 0)

    with trace(model) as seen:
        nn.functional.cross_entropy(model(batch), target).backward()

    assert "ZeroDivisionError" in str(seen)
    assert all(p.grad is not None for p in model.parameters())
    assert not any(p._backward_hooks for p in model.parameters())


def test_nested_traces_are_refused(script):
    """Of one thread: an error, after which the outer trace is right."""
    module = script(MASK)
    model, other = module.Reader(), module.Reader()
    batch, target = module.data(0)

    with trace(model) as seen:
        with pytest.raises(InvalidInput, match="one trace at a time"), trace(other):
            pass
        nn.functional.cross_entropy(model(batch), target).backward()

    assert seen.cause.kind == "call.gain_is_about_one"


def test_not_a_module():
    """The error says what is accepted."""
    with pytest.raises(InvalidInput, match=r"a torch\.nn\.Module"):
        trace(3)


def test_two_threads_do_not_mix(script):
    """Each thread's trace sees its own model: one is sick, the other is not."""
    scripts = {"sick": script(MASK, name="sick"), "well": script(name="well")}
    seen, meet = {}, threading.Barrier(2)

    def run(name):
        module = scripts[name]
        model = module.Reader()
        batch, target = module.data(0)
        with trace(model) as found:
            meet.wait(30)
            loss = nn.functional.cross_entropy(model(batch), target)
            meet.wait(30)
            loss.backward()
            meet.wait(30)
        seen[name] = found

    threads = [threading.Thread(target=run, args=(name,)) for name in scripts]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)

    assert seen["sick"].cause.kind == "call.gain_is_about_one"
    assert seen["well"].cause is None
    assert all("sick.py" in str(line) for line in seen["sick"].sites[0].lines.values())


def test_evaluation_beside_the_step_is_left_alone(script):
    """A frozen copy of the model that is asked without gradients is no selection of this step."""
    module = script()
    model, teacher = module.Reader(), module.Reader().requires_grad_(False)
    batch, target = module.data(0)

    with trace(model) as seen:
        with torch.no_grad():
            teacher(batch)
        nn.functional.cross_entropy(model(batch), target).backward()

    assert seen.cause is None
