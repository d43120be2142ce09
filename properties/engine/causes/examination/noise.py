"""The noise behind D's gradient, and what becomes of torch's generator while it is drawn."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.engine.causes.bench import Bench, same
from sdtps_ref.properties.kit import jacobians
from sdtps_ref.properties.kit.probe import Probe, seed_torch
from sdtps_ref.properties.signals import noise_tests
from sdtps_ref.properties.watching.graph import RANDOM
from sdtps_ref.properties.watching.record import watch

NOTHING = 1e-3  # noise below this is none; a right one has a standard deviation of 1.28
MANY = {"batch": 1000, "num_tokens": 128, "keep": 32}
FEW = {"batch": 40, "num_tokens": 24, "keep": 8}


def presence(bench: Bench) -> dict[str, Any]:
    """`noise.in_training` and `noise.in_eval`; and how many numbers were drawn for each sample's N."""
    found: dict[str, Any] = {}
    for name, training in (("noise.in_training", True), ("noise.in_eval", False)):
        probe = bench.probe(tau=2.0, training=training, **FEW)
        noise = _noise(probe)
        found[name] = None if not noise.isfinite().all() else bool(noise.abs().amax() > NOTHING)
    probe = bench.probe(tau=2.0, **FEW)
    built = probe.build("selector")
    drawn = watch(lambda: built(probe.tokens, probe.score)).calls
    shapes = [tuple(call.tensors[0].shape) for call in drawn if call.name in RANDOM and call.tensors]
    found["noise.drawn"] = max((int(torch.Size(shape).numel()) for shape in shapes), default=0)
    found["noise.owed"] = probe.score.numel()
    return found


def repetition(bench: Bench) -> dict[str, Any]:
    """What repeats: over samples, over tokens, over calls with one seed, with another, and one call after the other."""
    probe = bench.probe(tau=2.0, **FEW)
    first, again, other = _noise(probe), _noise(probe), _noise(probe, seed=1)
    found: dict[str, Any] = {"noise.repeats_with_the_seed": same(first, again)}
    found["noise.repeats_with_another_seed"] = same(first, other)
    rows = jacobians.repeated_row(first, noise_tests.SAME)
    found["noise.repeats_over_samples"] = rows is not None
    apart = (first.T[:, None] - first.T[None]).abs().amax(-1) + torch.eye(first.shape[1]).to(first)
    found["noise.repeats_over_tokens"] = bool((apart < noise_tests.SAME).any())
    return found


def generator(bench: Bench) -> dict[str, Any]:
    """What one call does to torch's generator: `generator.moves`, `generator.is_set`, `generator.decides`."""
    probe = bench.probe(tau=2.0, **FEW)
    built = probe.build("selector")
    after, before = [], []
    for seed in (21, 22):
        seed_torch(seed)
        before.append(torch.get_rng_state())
        built(probe.tokens, probe.score)
        after.append(torch.get_rng_state())
    fresh = []  # in sizes never seen before: what was kept by shape is not asked
    for seed, batch in ((31, 43), (32, 44)):
        new = bench.probe(tau=2.0, **{**FEW, "batch": batch})
        made = new.build("selector")
        seed_torch(seed)
        fresh.append(jacobians.noise_behind(made(new.tokens, new.score).decision, new.score, new.case.tau)[:8])
    seed_torch(41)
    following = [
        jacobians.noise_behind(built(probe.tokens, probe.score).decision, probe.score, probe.case.tau) for _ in range(2)
    ]
    return {
        "generator.moves": not torch.equal(before[0], after[0]),
        "generator.is_set": torch.equal(after[0], after[1]),
        "generator.decides_at_first": not same(fresh[0], fresh[1]),
        "generator.next_call_repeats": same(following[0], following[1]),
    }


def distribution(bench: Bench) -> dict[str, Any]:
    """`noise.looks` at a temperature of 2, empty for Gumbel(0, 1) that is drawn anew; and its size at 0.5 and 2."""
    probe = bench.probe(tau=2.0, **MANY)
    noise, other = _noise(probe), _noise(probe, seed=1)
    evidence = noise_tests.dependence(probe, noise, other)
    found: dict[str, Any] = {"noise.dependence": evidence.looks if evidence else ""}
    evidence = noise_tests.departure(probe, noise)
    found["noise.looks"] = evidence.looks if evidence else ""
    cooler = bench.probe(tau=0.5, **MANY)
    found["noise.size"] = [float(_noise(cooler).std()), float(noise.std())]
    return found


def in_half(bench: Bench) -> dict[str, Any]:
    """Whether all noise is finite in half precision: `noise.finite_in_half`."""
    finite = True
    for dtype in ("bfloat16", "float16"):
        probe = bench.probe(batch=12_000, num_tokens=4, keep=2, tau=5.0, scores="constant", dtype=dtype)
        decision = probe.select().decision
        rows = jacobians.first_rows(decision, probe.score)
        beside = torch.cat([rows[:, 1, :1], rows[:, 0, 1:]], dim=1)
        finite &= bool(decision.isfinite().all() and rows.isfinite().all() and (beside != 0).all())
    return {"noise.finite_in_half": finite}


def _noise(probe: Probe, seed: int = 0) -> Tensor:
    return jacobians.noise_behind(probe.select(seed=seed).decision, probe.score, probe.case.tau)


EXAMINATIONS = (presence, repetition, generator, distribution, in_half)
