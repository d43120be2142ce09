"""The noise of a model's last traced step: drawn anew it differs, unless both steps began from one random state."""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sdtps_ref.properties.tracing.soft_mask_summary import noise_of
from sdtps_ref.properties.tracing.step import Step
from sdtps_ref.properties.watching.sites import Site

_last: weakref.WeakKeyDictionary[nn.Module, Remembered] = weakref.WeakKeyDictionary()
ROWS = 4  # samples whose noise is remembered


@dataclass(frozen=True)
class Remembered:
    """state: torch's random state when the step began; noise: of each site, in order."""

    state: Tensor
    noise: list[Tensor | None]


def repeated(step: Step, state: Tensor) -> list[Site]:
    """The sites whose noise is that of the last traced step, though the step began from another random state."""
    found: list[Tensor | None] = []
    for site in step.sites:
        mask = step.passes.mask(site) if site.decision is not None else None
        tau = 1 / mask.rate if mask is not None and mask.kind == "softmax" and mask.rate > 0 else None
        noise = noise_of(step.flow(site), tau)
        found.append(None if noise is None else noise[:ROWS].cpu())
    before, _last[step.module] = _last.get(step.module), Remembered(state, found)
    if before is None or torch.equal(before.state, state):
        return []
    return [
        site
        for site, now, then in zip(step.sites, found, before.noise, strict=False)
        if now is not None and then is not None and now.shape == then.shape and _same(now, then)
    ]


def _same(one: Tensor, other: Tensor) -> bool:
    usual = one.abs() < 20  # of a token with next to no p, rounding is all there is
    both = usual & (other.abs() < 20)
    return bool(both.any()) and float((one - other)[both].abs().max()) < 1e-2 and float(one[both].abs().max()) > 0.1
