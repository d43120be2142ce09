"""Several modalities: whose D, whose extra token and whose guidance each one's slots have."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.engine.causes.bench import Bench, same
from sdtps_ref.properties.kit import values
from sdtps_ref.properties.laws.multimodal.inputs import NAMES, inputs_by_name, run_modalities

SIZES = {"batch": 2, "num_tokens": 6, "keep": 2, "dim": 48, "slots": 2, "training": False}
WEIGHT = 1e-3


def names(bench: Bench) -> dict[str, Any]:
    """`modalities.counts`: for two, three and five names, and where nothing is dropped, what comes back."""
    found: dict[str, str] = {}
    more = (*NAMES, "depth", "event")
    for case, given, changes in (("2", NAMES[:2], {}), ("3", NAMES, {}), ("5", more, {}), ("K=N", NAMES, {"keep": 6})):
        probe = bench.probe(**{**SIZES, **changes})
        tokens, features = inputs_by_name(probe, given)
        try:
            pooled = run_modalities(probe, given, tokens, features)
        except Exception as error:
            found[case] = type(getattr(error, "original", error)).__name__
            continue
        owed = (probe.case.batch, probe.case.slots + 1, probe.case.dim)
        shapes = {tuple(part.shape) for part in pooled.values()}
        short = all(shape[1] == owed[1] - 1 for shape in shapes)
        found[case] = "right" if shapes == {owed} else "no extra token" if short else "another shape"
    return {"modalities.counts": found}


def decisions(bench: Bench) -> dict[str, Any]:
    """By modality: `modalities.own_decision` reaches its slots, another's does, and which features guide it."""
    probe = bench.probe(**SIZES)
    tokens, features = inputs_by_name(probe, NAMES)
    own, crossed, guided, present = [], [], [], []
    results = run_modalities(probe, NAMES, tokens, features)
    for name, pooled in results.items():
        slots = pooled[:, : probe.case.slots]
        cotangent = values.draw("normal", tuple(slots.shape), 5).to(slots)
        reached = {other: values.gradient(slots, tokens[other], cotangent) for other in NAMES}
        own.append(bool((reached[name] != 0).any(-1).all()))
        crossed.append(any(bool(reached[other].any()) for other in NAMES if other != name))
        to_features = {other: bool(values.gradient(slots, features[other], cotangent).any()) for other in NAMES}
        guided.append(to_features[name] and all(to_features[other] for other in NAMES if other != name))
        present.append(to_features[name])
    found: dict[str, Any] = {
        "modalities.own_decision": own,
        "modalities.other_decision": crossed,
        "modalities.guided_by_all": guided,
        "modalities.guided_by_own": present,
    }
    return found | {"modalities.features_matter": _matter(bench)}


def _matter(bench: Bench) -> bool:
    """Whether another modality's feature changes what is returned, with a gradient or without."""
    probe = bench.probe(**{**SIZES, "keep": 3, "num_tokens": 12})
    tokens, features = inputs_by_name(probe, NAMES)
    before = run_modalities(probe, NAMES, tokens, features)
    other = {name: feature if name == NAMES[0] else -3 * feature.detach() for name, feature in features.items()}
    after = run_modalities(probe, NAMES, tokens, other)
    return not same(after[NAMES[0]], before[NAMES[0]], 1e-9)


def extra_tokens(bench: Bench) -> dict[str, Any]:
    """`modalities.extra_token`: of which tokens the last slot of each modality is made."""
    probe = bench.probe(**SIZES)
    tokens, features = inputs_by_name(probe, NAMES)
    columns = torch.cat([tokens[name] for name in NAMES], dim=1).detach().mT  # B C 3N
    kinds = []
    results = run_modalities(probe, NAMES, tokens, features)
    for i, name in enumerate(NAMES):
        extra = results[name][:, -1:].detach().mT
        if not extra.any():
            kinds.append("nothing")
            continue
        weights = torch.linalg.lstsq(columns, extra).solution.reshape(len(extra), len(NAMES), -1)  # B 3 N
        totals = weights.sum(-1)
        if (totals[:, i] - 1).abs().amax() < WEIGHT:
            sources = int((weights[:, i].abs() > WEIGHT).sum(-1).amax())
            dropped = probe.case.num_tokens - probe.case.keep
            kinds.append("the dropped" if sources == dropped else "all" if sources > dropped else "the kept")
        else:
            kinds.append("another's" if bool(totals.abs().amax() > WEIGHT) else "nothing")
    return {"modalities.extra_token": kinds}


def samples(bench: Bench) -> dict[str, Any]:
    """`modalities.of_own_sample`: whether a sample alone gives what it gives in a batch."""
    probe = bench.probe(**{**SIZES, "batch": 3})
    tokens, features = inputs_by_name(probe, NAMES)
    whole = run_modalities(probe, NAMES, tokens, features)
    alone = run_modalities(probe, NAMES, _first(tokens), _first(features))
    return {"modalities.of_own_sample": all(same(alone[name], whole[name][:1]) for name in NAMES)}


def _first(parts: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: part[:1].detach().clone().requires_grad_() for name, part in parts.items()}


EXAMINATIONS = (names, decisions, extra_tokens, samples)
