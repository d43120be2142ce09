"""Sizes, dtypes and devices: what every other law takes for granted."""

from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.kit.expect import expect_device, expect_dtype, expect_shape
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe


@law(needs="selector|aggregator|pipeline")
def follows_inputs(probe: Probe) -> None:
    """decision: B N; selected_tokens: B K C; keep_indices: B K int64; pooled tokens: B M C; all as the tokens are.

    Why: the next layer takes these sizes, dtypes and devices for granted, and a float32 mask in a
    bfloat16 model doubles its memory without a word.
    Breaks when: K or M is computed from a ratio and rounds the other way, a mask is created without
    dtype= and device=, or a squeeze() eats an axis of size one.
    Remedy: create tensors with the input's dtype and device (`zeros_like`, `new_zeros`), name the axis
    that you squeeze, and take K and M from one place.
    """
    case = probe.case
    B, N, K, C, M = case.batch, case.num_tokens, case.keep, case.dim, case.slots
    if "selector" in probe.methods:
        selection = probe.select()
        for name, shape in (
            ("decision", (B, N)),
            ("selected_tokens", (B, K, C)),
            ("selected_decision", (B, K)),
            ("keep_indices", (B, K)),
            ("extra_token", (B, 1, C)),
        ):
            part = getattr(selection, name)
            if part is not None:
                _expect_like(probe, name, part, shape, torch.int64 if name == "keep_indices" else case.torch_dtype)
    if "aggregator" in probe.methods:
        kept = probe.tokens[:, :K]
        ones = probe.given("decision", torch.ones_like(kept[:, :, 0]))
        _expect_like(probe, "aggregator(tokens, ones)", probe.aggregate(kept, ones), (B, M, C), case.torch_dtype)
    if "pipeline" in probe.methods:
        _expect_like(probe, "pipeline(tokens, score)", probe.pool(), (B, M, C), case.torch_dtype)


def _expect_like(probe: Probe, name: str, part: Any, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    if not isinstance(part, Tensor):
        raise Violation(f"{name} is {type(part).__name__}, but should be a Tensor of shape {shape}")
    expect_shape(probe, name, part, shape)
    expect_dtype(probe, name, part, dtype)
    expect_device(probe, name, part, probe.tokens.device)
