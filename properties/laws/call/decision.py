"""D in the user's own call: hard forward, and backward that of its soft mask."""

from __future__ import annotations

import re

import torch

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.laws.call.reading_of import CALL, decided, passes_of
from sdtps_ref.properties.watching.forms import PRODUCTS, SUMS
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.road_ends import where_soft
from sdtps_ref.properties.watching.sites import Site

TIMES_TAU = re.compile(r"\*\s*(self\.)?tau\b(?!\s*\*\*)|\btau\s*\*(?!\*)|\.mul_?\((self\.)?tau\)")


@law(needs="call", domain=CALL)
def decision_is_hard(probe: Probe) -> None:
    """D = hard_mask + (soft_mask - stop_gradient(soft_mask)): forward, every entry is exactly 0 or 1.

    Why: what is off by rounding is multiplied by whatever masks the logits: by 1e10 it moves a logit by hundreds, and
    dropped tokens leak into the pooled ones. Where nothing multiplies it, and D is not returned to whoever might, it is
    left at that.
    Breaks when: the sum is written without parentheses, `hard + soft - soft.detach()`: Python adds from the left; or
    soft and hard change places in it.
    Remedy: `hard + (soft - soft.detach())`.
    """
    swapped = where_soft(passes_of(probe).reading())
    if swapped is not None:
        raise Violation(
            "D is soft in the forward pass: soft and hard are swapped in the straight-through sum",
            where=swapped.place,
            effect="in training no token is dropped, and the hard mask gives no gradient",
            fix="decision = hard + (soft - soft.detach())",
        )
    reading, sites = decided(probe)
    for site in sites:
        value = site.decision.detach()  # type: ignore[union-attr]
        off = (value - value.round()).abs()
        # What a sum rounds is of the size of its precision; what a steep softmax leaves is no sum and may be anything.
        inexact = site.decision_call.name in SUMS and off.max() > torch.finfo(value.dtype).eps / 8  # type: ignore[union-attr]
        if inexact and (reading.returns_decision or _tells(reading, site)):
            raise Violation(
                f"D is not exactly 0 or 1 in {int((off > 0).sum())} of {off.numel()} entries: off by {off.max():.2g}",
                where=site.decision_call.place,  # type: ignore[union-attr]
                effect="what masks the logits multiplies the error: dropped tokens leak into the pooled ones",
                fix="decision = hard + (soft - soft.detach())",
            )


def _tells(reading: Reading, site: Site) -> bool:
    """Whether the output with D rounded to 0 and 1 is another one."""
    assert site.decision_call is not None
    try:
        rounded = reading.again({site.decision_call.number: lambda result: result.round()})
    except Exception:  # the code does not bear it
        return True
    return any(
        one.shape != other.shape or float((one - other).abs().max()) > 1e-4 * float(one.abs().max() + 1e-6)
        for one, other in zip(reading.ends(), reading.ends(rounded), strict=False)
        if one.numel()
    )


@law(needs="call", depends="call.decision_is_hard", domain=CALL)
def backward_stays_in_its_sample(probe: Probe) -> None:
    """dD[b]/d score[b'] = 0 for two samples b and b': the soft mask is taken over the tokens of one sample.

    Why: a softmax over the batch has the right shape and a finite loss, and trains every sample by others' scores.
    Breaks when: the softmax is taken over dim=0, or statistics of the score over the whole batch.
    Remedy: `softmax(score / tau, dim=-1)` for a score B N.
    """
    passes = passes_of(probe)
    reading, sites = decided(probe)
    for site in sites:
        leak = passes.mask(site).leak
        if leak > 1e-3:
            raise Violation(
                f"D's gradient crosses samples: {leak:.0%} of that of the first sample's D goes to the others' scores",
                where=_soft_line(reading, site),
                effect="every sample is trained by the scores of the others in its batch",
                fix="soft = torch.softmax(score / tau, dim=-1)",
            )


def _soft_line(reading: Reading, site: Site) -> SourceLine | None:
    graph = reading.graph
    assert site.decision_call is not None
    for number in graph.ancestors(site.decision_call.number):
        call = reading.watched.calls[number]
        after = site.score_call is None or graph.depends(number, site.score_call.number)
        if call.name in ("softmax", "sigmoid", "log_softmax", "gumbel_softmax") and after:
            return call.place
    return site.decision_call.place


@law(needs="call", depends="call.backward_stays_in_its_sample", domain=CALL)
def temperature_divides(probe: Probe) -> None:
    """D's Jacobian is (diag p - p p') / tau for the tau that the module holds.

    Why: multiplied instead of divided, a lower temperature makes the soft mask softer, and annealing runs backwards.
    Breaks when: the score is multiplied by tau, or tau is not passed on.
    Remedy: `softmax((score + noise) / tau, dim=-1)`.
    """
    passes = passes_of(probe)
    reading, sites = decided(probe)
    held = sorted({round(tau, 6) for tau in passes.temperatures()})
    for site in sites:
        mask = passes.mask(site)
        if (line := _times_tau(reading, site)) is not None:
            _refuse_product("the score is multiplied by tau, and should be divided by it", line)
        if mask.kind != "softmax" or len(held) != 1 or abs(held[0] - 1) < 0.02:
            continue
        probe.findings["tau"] = 1 / mask.rate
        if abs(mask.rate / held[0] - 1) < 1e-2 and abs(mask.rate * held[0] - 1) > 1e-2:
            _refuse_product(
                f"the score is multiplied by the temperature {held[0]:g}, and should be divided by it",
                _soft_line(reading, site),
            )


def _refuse_product(what: str, place: SourceLine | None) -> None:
    raise Violation(
        what,
        where=place,
        effect="a lower temperature makes the soft mask softer: annealing runs backwards",
        fix="soft = torch.softmax((score + noise) / tau, dim=-1)",
    )


def _times_tau(reading: Reading, site: Site) -> SourceLine | None:
    """The line between the score and D that multiplies by a number which is called tau there."""
    assert site.decision_call is not None
    for number in reading.graph.ancestors(site.decision_call.number):
        call = reading.watched.calls[number]
        if site.score_call is not None and number <= site.score_call.number:
            return None
        by_number = call.name in PRODUCTS and len(call.read) == 1
        if by_number and call.place is not None and TIMES_TAU.search(call.place.text):
            return call.place
    return None
