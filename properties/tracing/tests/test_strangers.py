"""Modules in shapes that people really write, in somebody else's idea of a training loop."""

from __future__ import annotations

from importlib import import_module

import pytest
import torch
from torch import nn
from torch.utils._pytree import tree_map
from torch.utils.checkpoint import checkpoint

from sdtps_ref import trace
from sdtps_ref.properties.kit.values import draw
from sdtps_ref.properties.selftest.strangers import RIGHT, WRONG
from sdtps_ref.properties.tracing.causes.by_law import BACKWARD, FORWARD, JACOBIAN, REMARKS, TOGETHER
from sdtps_ref.properties.watching.building import find_subjects, quiet
from sdtps_ref.properties.watching.example import subject_of_example
from sdtps_ref.properties.watching.record import tensors_in

FUNCTIONS = {"frame_picker", "query_attention"}  # which have no module to trace
WAYS = ("plain", "autocast", "checkpoint", "compiled")
SEEN_IN_ONE_STEP = {*FORWARD, *BACKWARD, *JACOBIAN, *TOGETHER, "call.noise_is_fresh"}
# What the step itself shows where the law needs more than one: the causes that are as right.
ALSO_SEEN = {
    "call.noise_is_fresh": {"noise_shared", "noise_frozen"},
    "call.gradient_is_finite": {"overflow"},
    "call.parameters_are_registered": {"not_in_optimizer"},
    "call.policy_masks_the_keys": {"call.gradient_reaches_score"},
    "call.kept_tokens_are_trained": {"call.gradient_reaches_score"},
    "call.every_part_of_a_list_is_used": {"call.what_is_scored_is_used"},
}
# What the loop does to them: a graph that is kept, or an input changed in place, ends the step; autocast makes some
# write one dtype into another; bfloat16 rounds a clamp at 0.9999 to none, and half of all normal numbers to a logarithm
# of zero. How many gates are to be open at first is not asked of a step, which may be any. Noise that
# is one number is none to a step, which remarks on that. D that is taken off its logits is told by a gradient through a
# graph that the step has freed.
OTHERWISE = {(name, way) for name in ("kept_graph", "shut_at_first", "tide_pools", "seat_map") for way in WAYS} | {
    ("centred_in_place", "checkpoint"),
    ("clamped_decision", "autocast"),
    ("lone_expert", "autocast"),
    ("lone_text_token", "autocast"),
    ("normal_for_uniform", "autocast"),
    ("surprising_moments", "autocast"),
}
FEW = ("caption_pooler", "policy_vit", "counted_router", "phrase_pooler", "pruned_encoder", "grid_selector",
       "hinge_over_captions")  # fmt: skip


class Trainer:
    """Somebody's loop: mixed precision by a switch, two accumulated halves, a clipped norm, and callbacks."""

    def __init__(self, module: nn.Module, call, way: str):
        self.module, self.way = module, way
        self.call = torch.compile(call, backend="eager") if way == "compiled" else call
        self.optimizer = torch.optim.AdamW(
            [p for p in module.parameters() if p.requires_grad] or [nn.Parameter(torch.ones(1))], lr=1e-4
        )
        self.log: list[float] = []

    def forward(self, args, kwargs):
        """A forward pass, checkpointed or not."""
        args, kwargs = tree_map(_own, args), tree_map(_own, kwargs)
        if self.way == "checkpoint":
            return checkpoint(self.call, *args, use_reentrant=False, **kwargs)
        return self.call(*args, **kwargs)

    def fit_one(self, args, kwargs) -> None:
        """A step."""
        self.module.train()
        self.optimizer.zero_grad(set_to_none=True)
        for _ in range(2):
            with torch.autocast("cpu", torch.bfloat16, enabled=self.way == "autocast"):
                out = self.forward(args, kwargs)
            outputs = [t for t in tensors_in(out) if t.is_floating_point() and t.requires_grad]
            loss = torch.stack([(t.float() * draw("normal", tuple(t.shape), 11).float()).mean() for t in outputs]).sum()
            (loss / 2).backward()
            self.log.append(loss.item())
        nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
        self.optimizer.step()


def traced(name: str, way: str):
    """What trace sees of one step of the Trainer."""
    module = import_module(f"sdtps_ref.properties.selftest.strangers.{name}")
    example = getattr(module, "example", None)
    with quiet():
        subject = subject_of_example(example) if callable(example) else find_subjects(module).subjects[0]
        args, kwargs = subject.inputs(0)
        torch.manual_seed(0)
        trainer = Trainer(subject.module, subject.callable, way)
        with trace(subject.module) as seen:
            trainer.fit_one(args, kwargs)
    return seen


def _own(value):
    """No leaf, so that code which writes into its input may."""
    return value * 1 if isinstance(value, torch.Tensor) and value.requires_grad else value


def judge(stranger, way: str) -> None:
    """A right one is not accused; of a wrong one the fault is named, on one of its lines."""
    seen = traced(stranger.name, way)
    cause = seen.cause

    assert seen.sites, str(seen)
    assert seen.backwards == 2
    assert not any("second time" in note for note in seen.notes), "a freed graph is no news"
    law = f"call.{(stranger.law or '').removeprefix('call.')}"
    if law == "call.noise_is_fresh" and way == "autocast":
        return  # in bfloat16 noise cannot be told from rounding
    kinds = {law} | ALSO_SEEN.get(law, set())
    if law not in SEEN_IN_ONE_STEP or law in REMARKS:
        assert cause is None or not cause.accuses or cause.kind in kinds, str(seen)
        return
    assert cause is not None, str(seen)
    assert cause.kind in kinds, str(seen)
    if stranger.at:
        assert any(text in cause.where.text for text in stranger.at), str(seen)


@pytest.mark.parametrize("stranger", [s for s in (*RIGHT, *WRONG) if s.name in FEW], ids=lambda s: s.name)
def test_a_few(stranger):
    """In the plain loop."""
    judge(stranger, "plain")


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stranger", [s for s in (*RIGHT, *WRONG) if s.name not in FUNCTIONS], ids=lambda s: s.name)
def test_every_stranger_every_way(stranger, way):
    """In mixed precision, checkpointed and compiled too."""
    if (stranger.name, way) not in OTHERWISE:
        judge(stranger, way)
