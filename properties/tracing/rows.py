"""What is kept of a sampled step: a row of numbers for each place where tokens are chosen."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.tracing.causes.score import counts
from sdtps_ref.properties.tracing.ladder import climb
from sdtps_ref.properties.tracing.soft_mask_summary import summarise
from sdtps_ref.properties.tracing.step import Step
from sdtps_ref.properties.watching.sites import Site
from sdtps_ref.properties.watching.soft_mask import SoftMask

FIELDS = (
    "step",
    "site",
    "loss",
    "gain",  # how many times what is owed the gradient at D is
    "score_gradient",
    "score_to_rest",  # gradient of what serves the score, over that of the rest of the model
    "entropy",  # of the soft mask, over log N
    "largest_p",
    "share",  # of the tokens, that gets 99 % of the gradient
    "kept",
    "changed",  # share of the kept positions that were not kept in the sample before
)
Row = dict[str, Any]


class Rows:
    """Rows of a run; remembers what was kept."""

    def __init__(self) -> None:
        self._kept: dict[str, Tensor] = {}

    def of(self, step: Step, number: int, loss: Tensor) -> list[Row]:
        """A row a site; sites on the same line are numbered."""
        rows: list[Row] = []
        seen: dict[str, int] = {}
        for site in step.sites:
            line = str(site.place)
            seen[line] = seen.get(line, 0) + 1
            name = line if seen[line] == 1 else f"{line} ({seen[line]})"
            rows.append({"step": number, "site": name, "loss": float(loss.detach()), **self._numbers(step, site, name)})
        return rows

    def _numbers(self, step: Step, site: Site, name: str) -> Row:
        rungs = {rung.name: rung for rung in climb(step, site)}
        soft = summarise(step.flow(site), SoftMask("none"), step.reading.gradient(site.score), jacobian=False)
        own, rest = (rungs.get(each) for each in ("parameters of the score", "rest of the model"))
        sizes = [0.0 if rung is None or rung.norm is None else rung.norm for rung in (own, rest)]
        kept, total = counts(site)
        return {
            "gain": step.passes.gain(step.reading, site) if site.decision is not None else None,
            "score_gradient": rungs["score"].norm,
            "score_to_rest": sizes[0] / sizes[1] if sizes[1] else math.nan,
            "entropy": soft.entropy,
            "largest_p": soft.largest,
            "share": soft.share,
            "kept": None if kept is None else kept / total,
            "changed": self._changed(site, name),
        }

    def _changed(self, site: Site, name: str) -> float | None:
        now = kept_positions(site)
        before = self._kept.get(name)
        if now is None:
            return None
        self._kept[name] = now
        if before is None or before.shape[1:] != now.shape[1:]:
            return None
        rows = min(len(before), len(now))
        now, before = now[:rows], before[:rows]
        return float((now & ~before).sum() / now.sum().clamp_min(1))


def kept_positions(site: Site) -> Tensor | None:
    """B N: which positions are kept; None where it cannot be told."""
    if site.decision is not None and site.decision.dim() == 2 and site.decision.shape == site.ranked.shape:
        return (site.decision.detach() > 0.5).cpu()
    if site.choice.name == "topk" and site.ranked.dim() == 2:
        blank = torch.zeros(site.ranked.shape, dtype=torch.bool)
        return blank.scatter(-1, site.choice.tensors[-1].detach().cpu(), True)
    return None
