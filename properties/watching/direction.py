"""Whether D's gradient points where the ranking does: both read off derivatives with respect to the score."""

from __future__ import annotations

import torch
from torch import Tensor

from sdtps_ref.properties.watching.sites import Site

TRIED = 8  # kept tokens
LEAST = 2  # of them, that can be compared


def points_backwards(site: Site) -> bool:
    """Whether, of the kept tokens that are tried, a score that is raised raises the rank and lowers D, or the reverse.

    Of a topk alone, whose direction is known. False where the two cannot be compared.
    """
    decision, score, ranked = site.decision, site.score, site.ranked
    if site.choice.name != "topk" or decision is None or not score.requires_grad or not ranked.requires_grad:
        return False
    if decision.numel() != score.numel():
        return False
    largest = site.choice.argument(3, "largest", True)
    kept = torch.zeros_like(ranked.detach()).scatter(-1, site.choice.tensors[-1], 1.0).flatten().nonzero().flatten()
    compared = []
    for place in kept.tolist()[:: max(1, len(kept) // TRIED)][:TRIED]:
        by_rank = _slope(ranked.reshape(-1)[place], score)
        if by_rank is None:
            continue
        own = int(by_rank.abs().argmax())
        by_decision = _slope(decision.reshape(-1)[own], score)
        if by_decision is not None and int(by_decision.abs().argmax()) == own:
            rises = (float(by_rank[own]) > 0) == bool(largest)
            compared.append(rises == (float(by_decision[own]) > 0))
    return len(compared) >= LEAST and not any(compared)


def _slope(entry: Tensor, score: Tensor) -> Tensor | None:
    row = torch.autograd.grad(entry, score, retain_graph=True, allow_unused=True)[0]
    return None if row is None or not row.any() else row.flatten()
