"""How hard a soft mask is, and what noise it carries."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.tracing.flow import Flow
from sdtps_ref.properties.tracing.replay import DRAWS
from sdtps_ref.properties.watching.soft_mask import ROWS, SoftMask

DRAWN = DRAWS | {"randint", "normal", "sample", "rsample", "poisson"}
ALIKE = 0.05  # noise whose largest entry is below this times its usual spread, 1.28, is none


@dataclass(frozen=True)
class SoftSummary:
    """Of the soft mask behind a D, over the samples of a batch.

    tau: as read from D's Jacobian; products: how many vector products that took. largest: median of each sample's
    largest p. entropy: mean over samples, over log N, so that 1 is uniform. share: the share of tokens that gets 99 %
    of the gradient. noise: fresh, none, shared (by all samples), frozen (drawn in no call of this step), or unread.
    """

    kind: str
    tau: float | None = None
    products: int = 0
    largest: float | None = None
    entropy: float | None = None
    share: float | None = None
    noise: str = "unread"
    spread: float | None = None  # of the score within a sample


def probabilities(flow: Flow) -> Tensor | None:
    """B N: the soft mask of the forward pass; None where no softmax over the tokens was seen."""
    soft, score = flow.soft, flow.site.score
    if soft is None or not soft.tensors or soft.name == "sigmoid":
        return None
    p = soft.tensors[0].detach().double()
    p = p.exp() if soft.name == "log_softmax" else p
    if soft.name == "gumbel_softmax" or p.numel() != score.numel() or score.dim() < 2:
        return None
    p = p.reshape(score.shape[0], -1)
    return p if bool(((p.sum(-1) - 1).abs() < 1e-2).all()) else None


def summarise(flow: Flow, mask: SoftMask, slope: Tensor | None, jacobian: bool = True) -> SoftSummary:
    """slope: the gradient that came to the score, if it is known."""
    site, p = flow.site, probabilities(flow)
    if site.decision is None:
        return SoftSummary("none")
    tau = 1 / mask.rate if mask.kind == "softmax" and mask.rate > 0 else None
    products = min(site.decision[0].numel(), ROWS) + (site.decision.shape[0] > 1) if jacobian else 0
    if p is None:
        return SoftSummary(mask.kind, tau, products)
    count = p.shape[-1]
    entropy = float(-(p * p.clamp_min(1e-300).log()).sum(-1).mean()) / math.log(count) if count > 1 else 0.0
    largest = float(p.amax(-1).median())
    score = site.score.detach().reshape(p.shape).double()
    spread = float(score.std(-1).median()) if count > 1 else 0.0
    kind = mask.kind if mask.kind not in ("none", "other") else "softmax, as it was computed"
    return SoftSummary(kind, tau, products, largest, entropy, _share(p, slope), _noise(flow, p, score, tau), spread)


def _share(p: Tensor, slope: Tensor | None) -> float:
    weight = p * (1 - p)
    if slope is not None and slope.numel() == p.numel() and bool(slope.isfinite().all()) and bool(slope.any()):
        weight = slope.reshape(p.shape).abs().double()
    ordered = weight.sort(-1, descending=True).values.cumsum(-1)
    needed = (ordered < 0.99 * ordered[:, -1:]).sum(-1) + 1
    return float(needed.double().mean() / p.shape[-1])


def noise_of(flow: Flow, tau: float | None) -> Tensor | None:
    """B N: what is added to the score, up to a number for each sample; None where it cannot be read."""
    p = probabilities(flow)
    if p is None or tau is None:
        return None
    noise = p.clamp_min(1e-300).log() * tau - flow.site.score.detach().reshape(p.shape).double()
    return noise - noise.mean(-1, keepdim=True)


def _noise(flow: Flow, p: Tensor, score: Tensor, tau: float | None) -> str:
    if tau is None:
        return "fresh" if _drawn(flow) else "unread"
    seen = p > 1e-30
    noise = torch.where(seen, p.clamp_min(1e-300).log() * tau - score, torch.nan)
    noise = noise - noise.nanmean(-1, keepdim=True)
    within = (noise.nan_to_num() ** 2).sum(-1) / seen.sum(-1)
    # What rounding leaves of the score, in float16 or where p is far from 1, is no noise.
    eps = max(float(torch.finfo(t.dtype).eps) for t in (flow.site.score, flow.site.decision) if t is not None)
    floor = max(ALIKE, 40 * eps * max(1.0, float(score.abs().max())))
    if float(within.sqrt().max()) < floor:
        return "none"
    if not _drawn(flow):
        return "unread" if _follows(noise, score) else "frozen"
    both = seen.all(0)
    if len(p) > 1 and bool(both.any()):
        apart = (noise[1:, both] - noise[:1, both]).abs()
        if float(apart.max()) < floor:
            return "shared"
    return "fresh"


def _follows(noise: Tensor, score: Tensor) -> bool:
    """Whether what is added to the score is a multiple of it, B N: a temperature that was read amiss, and no noise."""
    score = score - score.mean(-1, keepdim=True)
    noise = noise.nan_to_num()
    rest = noise - score * (noise * score).sum() / (score**2).sum()
    return float((rest**2).sum()) < ALIKE**2 * float((noise**2).sum())


def noise_line(flow: Flow) -> SourceLine | None:
    """The line where noise is drawn; where it is read from what the module holds; else that of the soft mask."""
    above = _besides_the_score(flow)
    draws = [flow.calls[n] for n in above if flow.calls[n].name in DRAWN]
    held = [flow.calls[n] for n in above if any(_is_noise(flow, t, of_any_batch=True) for t in flow.calls[n].outside)]
    place = next((call.place for call in (*draws, *held) if call.place is not None), None)
    return place or (flow.soft.place if flow.soft is not None else None)


def _drawn(flow: Flow) -> bool:
    """Whether random numbers of this step went into the soft mask by another way than through the score."""
    if flow.soft is None:
        return False
    above = _besides_the_score(flow)
    if flow.soft.name == "gumbel_softmax" or any(flow.calls[n].name in DRAWN for n in above):
        return True
    # What numpy or a compiled kernel drew comes from outside, and is not held by the module.
    outside = [t for n in above for t in flow.calls[n].outside if _is_noise(flow, t)]
    return any(id(t) not in flow.held for t in outside)


def _besides_the_score(flow: Flow) -> list[int]:
    if flow.soft is None:
        return []
    behind = set() if flow.site.score_call is None else set(flow.graph.ancestors(flow.site.score_call.number))
    return [n for n in flow.graph.ancestors(flow.soft.number) if n not in behind]


def _is_noise(flow: Flow, tensor: Tensor, of_any_batch: bool = False) -> bool:
    if tensor.requires_grad or not tensor.is_floating_point() or tensor.dim() == 0:
        return False
    score = flow.site.score
    return tensor.shape[-1] == score.shape[-1] if of_any_batch else tensor.numel() == score.numel()
