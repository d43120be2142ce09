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
    if site.decision is not None or site.kind == "given" or not site.score.requires_grad or site.keeps_all:
        return None
    for number in (site.choice.number, *reading.graph.descendants(site.choice.number)):
        call = reading.watched.calls[number]
        for tensor in call.tensors:
            few = tensor.dim() >= 2 and 1 < tensor.numel() <= site.ranked.numel()
            trainable = few and tensor.is_floating_point() and tensor.requires_grad
            if trainable and reaches(tensor, site.score) and moved(reading, tensor):
                return tensor, call
    return None
