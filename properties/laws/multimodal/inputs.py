"""Tokens and global features by name, and a module's answer to them."""

from collections.abc import Mapping

import torch
from torch import Tensor

from sdtps_ref.properties.kit import values
from sdtps_ref.properties.kit.expect import expect_keys
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe

WEIGHT = 1e-3  # none or all; what float32 leaves is near 1e-6, and a mean of twelve tokens has 1 / 12 of each
NAMES = ("rgb", "nir", "tir")


def inputs_by_name(
    probe: Probe, names: tuple[str, ...], *, copies: int = 1
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Tokens and global features by name. copies: of each token, one part of the N tokens after another."""
    case = probe.case
    tokens, features = {}, {}
    for i, name in enumerate(names):
        seed = case.seed + 10 * i + 1
        recipe = f"draw('normal', {(case.batch, case.num_tokens, case.dim)}, {seed})"
        drawn = values.draw("normal", (case.batch, case.num_tokens, case.dim), seed)
        if copies > 1:
            part = case.num_tokens // copies
            drawn = torch.cat([drawn[:, :part]] * copies, dim=1)
            recipe = f"torch.cat([{recipe}[:, :{part}]] * {copies}, dim=1)"
        tokens[name] = drawn.to(case.device, case.torch_dtype).requires_grad_()
        to = f".to({case.device!r}, {case.torch_dtype})"
        probe.script.define_value(f"{name}_tokens", tokens[name], recipe + to)
        feature = values.draw("normal", (case.batch, case.dim), seed + 1)
        features[name] = probe.given(f"{name}_feature", feature.to(tokens[name]), requires_grad=True)
    return tokens, features


def run_modalities(
    probe: Probe, names: tuple[str, ...], tokens: dict[str, Tensor], features: dict[str, Tensor]
) -> dict[str, Tensor]:
    """One call, its results by name."""
    built = probe.build("multimodal", modalities=names)
    result = probe.call(built, tokens, features, name="pooled")
    returned = sorted(map(str, result)) if isinstance(result, Mapping) else type(result).__name__
    due = f"{sorted(names)}, each with a Tensor B (M+1) C"
    expect_keys(probe, f"multimodal(...) returned {returned}, but should return {due}", result, names)
    for name in names:
        if not isinstance(result[name], Tensor):
            raise Violation(f"multimodal(...)[{name!r}] is {type(result[name]).__name__}, but should be a Tensor")
    return {name: result[name] for name in names}


def slots_of(probe: Probe, pooled: Tensor) -> tuple[Tensor, Tensor]:
    """The M slots without the extra token, and a cotangent for them."""
    slots = pooled[:, : probe.case.slots]
    return slots, probe.random(slots)
