"""Kept tokens that are weighted by their own scores: a choice without D, whose score learns from the weights."""

from __future__ import annotations

from torch import Tensor

from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call
from sdtps_ref.properties.watching.roads import moved
from sdtps_ref.properties.watching.sites import Site, reaches


def weights_of(reading: Reading, site: Site) -> tuple[Tensor, Call] | None:
    """The first numbers, at most one a token, that the choice has a part in and that lead a gradient to the score.

    None where there is a D, or where no gradient comes from what was chosen.
    """
    return next(((tensor, call) for tensor, call in leading_back(reading, site) if moved(reading, tensor)), None)


def leading_back(reading: Reading, site: Site) -> list[tuple[Tensor, Call]]:
    """All such numbers, whether the loss asks for them or not. Kept: a step's graph is freed by its backward pass."""
    if site.decision is not None or site.kind == "given" or not site.score.requires_grad or site.keeps_all:
        return []
    if id(site) not in reading.weighings:
        made = [reading.watched.calls[n] for n in (site.choice.number, *reading.graph.descendants(site.choice.number))]
        reading.weighings[id(site)] = [(t, call) for call in made for t in call.tensors if _leads_back(t, site)]
    return reading.weighings[id(site)]


def _leads_back(tensor: Tensor, site: Site) -> bool:
    few = tensor.dim() >= 2 and 1 < tensor.numel() <= site.ranked.numel()
    return few and tensor.is_floating_point() and tensor.requires_grad and reaches(tensor, site.score)
