"""A traced step leaves the model, its gradients, its random numbers and its mode as an untraced step does."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from sdtps_ref import trace
from sdtps_ref.properties.tracing import backward
from sdtps_ref.properties.tracing.tests.conftest import MASK


class Whole(nn.Module):
    """The script's model with batch statistics and dropout around it, checkpointed or not."""

    def __init__(self, reader: nn.Module, detour: str):
        super().__init__()
        self.reader, self.detour = reader, detour
        self.norm, self.drop = nn.BatchNorm1d(4), nn.Dropout(0.3)
        self.inner_norm = nn.BatchNorm1d(16)

    def forward(self, batch):
        def inner(patches, frames):
            patches = self.inner_norm(patches.transpose(1, 2)).transpose(1, 2)
            return self.reader({"patches": self.drop(patches), "frames": frames})

        given = [batch[name].requires_grad_() for name in ("patches", "frames")]
        if self.detour == "none":
            return self.norm(inner(*given))
        return self.norm(checkpoint(inner, *given, use_reentrant=self.detour == "reentrant"))


def run(script, detour: str, traced: bool, mask: tuple[str, str] = MASK) -> dict[str, object]:
    """Three steps; everything that could differ."""
    module = script(mask)
    torch.manual_seed(3)
    model = Whole(module.Reader(), detour)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    state: dict[str, object] = {}
    for number in range(3):
        batch, target = module.data(number)
        optimizer.zero_grad()
        if traced:
            with trace(model) as seen:
                loss = nn.functional.cross_entropy(model(batch), target)
                loss.backward()
                optimizer.step()
            assert seen.cause is not None and seen.cause.kind == "call.gain_is_about_one"
        else:
            loss = nn.functional.cross_entropy(model(batch), target)
            loss.backward()
            optimizer.step()
        for name, parameter in model.named_parameters():
            state[f"{number} gradient {name}"] = parameter.grad.clone()
            state[f"{number} stride {name}"] = parameter.grad.stride()
        state |= {f"{number} {name}": value.clone() for name, value in model.state_dict().items()}
        state[f"{number} loss"] = loss.detach()
        state[f"{number} random"] = torch.get_rng_state()
        state[f"{number} mode"] = [part.training for part in model.modules()]
        state[f"{number} hooks"] = [
            (len(part._forward_hooks), len(part._forward_pre_hooks), len(part._backward_hooks))
            for part in model.modules()
        ]
        state[f"{number} tensor hooks"] = [bool(p._backward_hooks) for p in model.parameters()]
    return state


@pytest.mark.parametrize("detour", ["none", "checkpoint", "reentrant"])
def test_nothing_differs_bit_for_bit(script, detour):
    """Gradients, parameters, buffers, random state, mode and hooks after three steps, with checkpoints and without."""
    plain = run(script, detour, traced=False)
    traced = run(script, detour, traced=True)

    assert plain.keys() == traced.keys()
    for name, value in plain.items():
        same = torch.equal(value, traced[name]) if isinstance(value, torch.Tensor) else value == traced[name]
        assert same, name


def test_the_comparison_sees_a_difference(script):
    """Another mask gives other gradients, so that equality above says something."""
    one, other = run(script, "none", traced=True), run(script, "none", traced=False, mask=("", ""))

    assert not torch.equal(one["0 gradient reader.pick.patches.judge.0.weight"],
                           other["0 gradient reader.pick.patches.judge.0.weight"])  # fmt: skip


def test_torch_is_as_before(script):
    """Neither torch's backward nor the stack of modes is another afterwards, whatever happened inside."""
    original = torch.autograd.backward
    model = script().Reader()

    with pytest.raises(RuntimeError, match="mine"), trace(model):
        assert torch.autograd.backward is not original
        raise RuntimeError("mine")

    assert torch.autograd.backward is original
    assert not backward._listeners
    assert not torch.overrides._get_current_function_mode_stack()
