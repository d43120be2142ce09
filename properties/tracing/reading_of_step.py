"""From a step whose backward pass is done to what is told of it."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.tracing import ladder, memory
from sdtps_ref.properties.tracing.cause import Cause
from sdtps_ref.properties.tracing.causes import order
from sdtps_ref.properties.tracing.causes.score import counts
from sdtps_ref.properties.tracing.seen import SiteSeen
from sdtps_ref.properties.tracing.soft_mask_summary import SoftSummary, probabilities, summarise
from sdtps_ref.properties.tracing.step import Step
from sdtps_ref.properties.watching.forms import form_of
from sdtps_ref.properties.watching.sites import Site
from sdtps_ref.properties.watching.soft_mask import SoftMask

SAMPLES = 4  # whose soft masks are drawn


def tell(
    step: Step, state: Tensor, *, backward: bool = True, jacobian: bool = True
) -> tuple[list[SiteSeen], list[Cause]]:
    """The sites, those on the same lines as one, and the causes in no order yet. state: torch's when it began."""
    summaries = {id(site): _summary(step, site, jacobian) for site in step.sites}
    causes = order.of_the_pass(step, summaries, backward, memory.repeated(step, state))
    sites: dict[tuple[str, ...], SiteSeen] = {}
    for site in step.sites:
        seen = _site(step, site, summaries[id(site)], backward)
        key = tuple(str(line) for line in seen.lines.values())
        if key in sites:
            sites[key] = dataclasses.replace(sites[key], times=sites[key].times + 1)
        else:
            sites[key] = seen
    return list(sites.values()), causes


def _summary(step: Step, site: Site, jacobian: bool) -> SoftSummary:
    mask = step.passes.mask(site) if site.decision is not None else SoftMask("none")
    slope = step.reading.gradient(site.score)
    return summarise(step.flow(site), mask, slope, jacobian)


def _site(step: Step, site: Site, soft: SoftSummary, backward: bool) -> SiteSeen:
    flow = step.flow(site)
    kept, total = counts(site)
    root = step.reading.watch.calls[step.reading.root_call]
    lines: dict[str, SourceLine | None] = {
        "score": site.score_call.place if site.score_call is not None else None,
        "ranking": site.place,
        "D": site.decision_call.place if site.decision_call is not None else None,
        "mask": flow.mask.place if flow.mask is not None else None,
        "pooling": flow.pooled.place if flow.pooled is not None and flow.pooled is not root else None,
    }
    return SiteSeen(
        lines=lines,
        kept=kept,
        total=total,
        batch=site.ranked.shape[0] if site.ranked.dim() > 1 else 1,
        dtype=str(site.score.dtype).removeprefix("torch."),
        device=str(site.score.device),
        form=form_of(step.reading.at(site), site),
        soft=soft,
        upstream=step.passes.names(flow.upstream),
        rungs=ladder.climb(step, site) if backward else [],
        gain=step.passes.gain(step.reading, site) if backward and site.decision is not None else None,
        pictures=_pictures(step, site),
    )


def _pictures(step: Step, site: Site) -> list[tuple[list[float], list[int]]]:
    p = probabilities(step.flow(site))
    if p is None or site.decision is None or site.decision.numel() != p.numel():
        return []
    decision = site.decision.detach().reshape(p.shape)
    return [
        ([round(x, 6) for x in row.tolist()], torch.nonzero(kept > 0.5).flatten().tolist())
        for row, kept in zip(p[:SAMPLES].cpu(), decision[:SAMPLES].cpu(), strict=True)
    ]
