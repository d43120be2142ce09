"""The noise of the user's own call is fresh."""

from __future__ import annotations

import numpy as np
import torch

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.laws.call.reading_of import CALL, passes_of
from sdtps_ref.properties.watching.added_noise import beside, is_added
from sdtps_ref.properties.watching.graph import DRAWS
from sdtps_ref.properties.watching.passes import first_difference
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call, Watched
from sdtps_ref.properties.watching.sites import Site

SHARED_NOISE = "all samples of a batch get the same noise"
FROZEN_NOISE = "the noise is the same in every call"
GUARDS = ("clamp", "clamp_", "clamp_min", "clamp_min_", "clamp_max", "clamp_max_", "clip", "minimum", "maximum")
FEW = 8  # numbers, all of which chance does not make alike


@law(needs="call", depends="call.soft_mask_sums_to_one", domain=CALL)
def noise_is_fresh(probe: Probe) -> None:
    """Noise is drawn anew for every sample and every call.

    Why: noise that all samples share, or that was drawn once, explores nothing: the same tokens win every time.
    Breaks when: noise is drawn for one row and expanded, kept in a buffer, or drawn when the module is built; or the
    guard of its logarithm is turned, `minimum(u, 1e-6)`, so that it is one number, which a softmax does not see.
    Remedy: draw it in the forward pass, in the shape of the score: `torch.rand_like(score)`.
    """
    passes = passes_of(probe)
    for site in passes.reading().sites:
        if (flattened := _where_flattened(passes.reading(), site)) is not None:
            refuse_noise("the noise that is drawn becomes one number here, the same for every token", flattened.place)
    one, other = passes.reading(same=True), passes.other_noise(same=True)
    for site, again in zip(one.sites, other.sites, strict=False):
        if site.decision is None or again.decision is None:
            continue
        first, second = passes.mask(site), passes.mask(again)
        if first.kind != "softmax" or second.kind != "softmax" or len(first.probabilities) < 2:
            continue
        rows, later = (torch.stack(mask.probabilities).log().numpy() for mask in (first, second))
        score = site.by_sample(site.score.detach()).reshape(len(rows), -1).double().cpu().numpy()
        if score.shape != rows.shape or not np.allclose(score, score[:1], atol=1e-5):
            continue  # the score itself differs between equal samples: dropout, or a learned position
        place = _noise_line(one.watched, other.watched) or (site.decision_call.place if site.decision_call else None)
        if not np.allclose(rows, later, atol=1e-3):
            if np.allclose(rows, rows[:1], atol=1e-3) and is_added(one, site):
                refuse_noise(SHARED_NOISE, place)
            continue
        noise = beside(rows / first.rate, score)
        if np.abs(noise).max() > 0.05 and np.abs(noise).mean() > 0.05 and is_added(one, site):
            refuse_noise(FROZEN_NOISE, _where_kept(one, site))


def _where_flattened(reading: Reading, site: Site) -> Call | None:
    """The clamp on the way to D that makes one number of what was drawn for each token."""
    if site.decision_call is None:
        return None
    for number in reading.graph.ancestors(site.decision_call.number):
        call = reading.watched.calls[number]
        if call.name not in GUARDS or not call.tensors or call.tensors[0].numel() != site.score.numel():
            continue
        drawn = any(reading.watched.calls[n].name in DRAWS for n in reading.graph.ancestors(number))
        given, result = call.read[0].detach(), call.tensors[0].detach()
        if drawn and not call.tensors[0].requires_grad and _is_one_number(result) and not _is_one_number(given):
            return call
    return None


def _is_one_number(tensor: torch.Tensor) -> bool:
    return tensor.numel() >= FEW and bool((tensor == tensor.flatten()[0]).all())


def _where_kept(reading: Reading, site: Site) -> SourceLine | None:
    """The line between the score and D that reads a tensor which is neither trained nor made in this call."""
    assert site.decision_call is not None
    first = -1 if site.score_call is None else site.score_call.number
    for number in reading.graph.ancestors(site.decision_call.number):
        call = reading.watched.calls[number]
        if number > first and any(
            t.is_floating_point() and t.numel() > 1 and not t.requires_grad for t in call.outside
        ):
            return call.place
    return site.decision_call.place


def refuse_noise(what: str, place: SourceLine | None) -> None:
    """Raise the violation of noise that is not fresh."""
    raise Violation(
        what,
        where=place,
        effect="the same tokens win every time: the selection explores nothing",
        fix="draw noise in the forward pass, one number a token: torch.rand_like(score)",
    )


def _noise_line(one: Watched, other: Watched) -> SourceLine | None:
    call = first_difference(one, other)
    return call.place if call else None
