"""What is wrong with the score, or with the choice made by it."""

from __future__ import annotations

import torch
from torch import Tensor

from sdtps_ref.properties.tracing.cause import Cause
from sdtps_ref.properties.tracing.step import Step
from sdtps_ref.properties.watching.sites import Site
from sdtps_ref.properties.watching.starting import starts_at_zero

ALIKE = 1e-6


def find(step: Step) -> list[Cause]:
    """Nothing dropped, or the same choice for every sample."""
    found = []
    for site in step.sites:
        found += _keeps_all(site)
        found += _same_for_all(step, site)
    return found


def counts(site: Site) -> tuple[int | None, int]:
    """K and N. K is None where rows keep different numbers."""
    total = site.ranked.shape[-1]
    if site.choice.name == "topk":
        return int(site.choice.tensors[-1].shape[-1]), total
    if site.decision is not None and site.decision.dim() >= 2:
        decision = site.decision.detach()
        if decision.dim() > 2 and decision.shape[-1] == 2:
            decision = decision[..., 0]
        kept = decision.reshape(decision.shape[0], -1).round().sum(-1)
        size = decision[0].numel()
        return (int(kept[0]) if bool((kept == kept[0]).all()) else None), max(total, size)
    return None, total


def _keeps_all(site: Site) -> list[Cause]:
    kept, total = counts(site)
    if kept is None or kept < total or total < 2:
        return []
    return [
        Cause(
            "keeps_all",
            f"nothing is dropped: K = N = {total}",
            site.place,
            "whatever the score is, the same tokens are kept: the choice is not tried, and not trained",
            "keep fewer tokens than there are; or nothing, during a warm-up",
            accuses=False,
        )
    ]


def _same_for_all(step: Step, site: Site) -> list[Cause]:
    score = site.ranked.detach()
    if score.dim() < 2 or score.shape[0] < 3 or not _samples_differ(step, score.shape[0]):
        return []
    rows = score.reshape(score.shape[0], -1).double()
    within = float((rows - rows.mean(-1, keepdim=True)).abs().max())
    if within == 0 or not bool(rows.isfinite().all()) or starts_at_zero(step.reading, site):
        return []
    if float((rows - rows[:1]).abs().max()) > ALIKE * float(rows.abs().max()):
        return []
    line = site.score_call.place if site.score_call is not None else site.place
    return [
        Cause(
            "same_for_all",
            f"the score is the same for all {score.shape[0]} samples: every one keeps the same tokens",
            line,
            "the selection cannot depend on what it selects from",
            "make the score of each sample's own tokens, and reduce over dim=-1, never over the batch",
        )
    ]


def _samples_differ(step: Step, batch: int) -> bool:
    """Whether the step was given samples that are not all alike."""
    calls = step.reading.watch.calls
    return any(_differs(tensor, batch) for call in calls for tensor in (*call.outside, *call.tensors))


def _differs(tensor: Tensor, batch: int) -> bool:
    if isinstance(tensor, torch.nn.Parameter) or not tensor.is_floating_point() or tensor.dim() < 3:
        return False  # of two axes, it may be noise
    return tensor.shape[0] == batch and not torch.equal(tensor[0], tensor[1])
