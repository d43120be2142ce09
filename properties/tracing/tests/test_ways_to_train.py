"""Autocast, loss scaling, accumulation, clipping, checkpoints and compiled models: the ladder is the same."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from sdtps_ref import trace
from sdtps_ref.properties.tracing.tests.conftest import MASK


def started(script, *edits):
    """Module of the script, model, loss of one batch."""
    module = script(*edits)
    torch.manual_seed(0)
    model = module.Reader()

    def loss(number=0, model=model):
        batch, target = module.data(number)
        return nn.functional.cross_entropy(model(batch), target)

    return module, model, loss


def sizes(seen):
    """The norm at every rung of the first site."""
    return {rung.name: rung.norm for rung in seen.sites[0].rungs}


def test_the_gain_enters_at_the_decision(script):
    """With the mask of 1e10, rungs above D are at what is owed, and D and all below it at 1e10 times that."""
    _, model, loss = started(script, MASK)

    with trace(model) as seen:
        loss().backward()

    site = seen.sites[0]
    assert all(site.rung(name).times == 1 for name in ("loss", "output", "pooled tokens", "weights", "masked logits"))
    assert all(3e9 < site.rung(name).times < 3e10 for name in ("D", "soft mask", "score", "parameters of the score"))
    assert site.rung("rest of the model").times == 1
    assert site.lines["mask"].text == MASK[1]


def test_ladder_gives_the_gradients_of_autograd(script):
    """Norms at D and at the parameters of the score are what autograd gives, and the ratio is that of log D's."""
    _, model, loss = started(script, MASK)

    with trace(model) as seen:
        loss().backward()

    judges = [p.grad for n, p in model.named_parameters() if n.startswith("pick.patches.judge")]
    expected = sum(float(g.double().norm()) ** 2 for g in judges) ** 0.5
    assert expected == pytest.approx(sizes(seen)["parameters of the score"], rel=1e-6)
    other = script(name="log").Reader()
    other.load_state_dict(model.state_dict())
    torch.manual_seed(1)
    with trace(other) as seen_log:
        loss(model=other).backward()
    ratio = seen.sites[0].rung("D").owed / seen_log.sites[0].rung("D").owed
    assert 0.2 < ratio < 5


def test_loss_scaling_is_divided_out(script):
    """Scaled by 65536, the ladder is that of the loss itself; the scale is told."""
    ladders = []
    for scale in (1.0, 65536.0):
        _, model, loss = started(script)
        scaler = torch.amp.GradScaler("cpu", init_scale=scale, enabled=scale > 1)
        torch.manual_seed(5)
        with trace(model) as seen:
            scaler.scale(loss()).backward()
        assert seen.scale == scale
        ladders.append(sizes(seen))

    for name, size in ladders[0].items():
        assert size == pytest.approx(ladders[1][name], rel=1e-4), name


def test_autocast(script):
    """In bfloat16 the mask is found, with its size, and log D is not accused."""
    for edits, kind in (((MASK,), "call.gain_is_about_one"), ((), None)):
        _, model, loss = started(script, *edits)

        with trace(model) as seen, torch.autocast("cpu", torch.bfloat16):
            loss().backward()

        assert kind == (seen.cause.kind if seen.cause else None)
        assert len(seen.sites) == 2 or seen.sites[0].times == 2


def test_accumulated_steps(script):
    """Of several backward passes the first that has a selection is read, and all are counted."""
    _, model, loss = started(script, MASK)

    with trace(model) as seen:
        for number in range(3):
            (loss(number) / 3).backward()

    assert seen.backwards == 3
    assert seen.cause.kind == "call.gain_is_about_one"


def test_two_losses_of_one_pass(script):
    """A graph kept for a second loss: the gradients of both are added up, and the first alone accuses nobody."""
    module, model, _ = started(script)
    batch, target = module.data(0)

    with trace(model) as seen:
        answer = model(batch)
        (model.head.weight.square().sum() + 0 * answer.sum()).backward(retain_graph=True)
        nn.functional.cross_entropy(answer, target).backward()

    assert seen.cause is None
    assert seen.sites[0].rung("D").norm > 0


def test_clipping_before_and_after(script):
    """The norm as it was and as the optimizer found it."""
    _, model, loss = started(script, MASK)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    with trace(model) as seen:
        loss().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    assert seen.before_clipping > 1e6
    assert seen.after_clipping == pytest.approx(1.0, rel=1e-4)
    assert "clipped" in str(seen)


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointed(script, reentrant):
    """Inside a checkpoint of either sort the lines and the gain are found."""
    module, model, _ = started(script, MASK)

    class Checkpointed(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, batch):
            def run(patches, frames):
                return self.inner({"patches": patches, "frames": frames})

            given = [batch[name].requires_grad_() for name in ("patches", "frames")]
            return checkpoint(run, *given, use_reentrant=reentrant)

    whole = Checkpointed()
    batch, target = module.data(0)
    with trace(whole) as seen:
        nn.functional.cross_entropy(whole(batch), target).backward()

    assert seen.cause.kind == "call.gain_is_about_one"
    assert seen.cause.where.text == MASK[1]


def test_compiled(script):
    """A compiled model runs eagerly while it is watched; what it wraps may be what is traced."""
    module, model, _ = started(script, MASK)
    compiled = torch.compile(model, backend="aot_eager")
    batch, target = module.data(0)

    for traced in (compiled, model):
        with trace(traced) as seen:
            nn.functional.cross_entropy(compiled(batch), target).backward()

        assert seen.cause.kind == "call.gain_is_about_one"
        assert seen.cause.where.text == MASK[1]
        model.zero_grad()
