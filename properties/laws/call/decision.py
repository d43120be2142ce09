"""D in the user's own call: hard forward, and backward that of its soft mask."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.laws.call.reading_of import CALL, decided, passes_of
from sdtps_ref.properties.watching.forms import PRODUCTS, SUMS
from sdtps_ref.properties.watching.reading import Reading, SoftMask
from sdtps_ref.properties.watching.roads import where_soft
from sdtps_ref.properties.watching.sites import Site

TRIED = 6  # entries of D
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
        for one, other in zip(reading.watched.outputs, rounded.outputs, strict=False)
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


@law(needs="call", depends="call.backward_stays_in_its_sample", domain=CALL)
def keeps_the_highest(probe: Probe) -> None:
    """The kept tokens are those with the highest scores; a token whose score is raised is not kept less.

    Why: a gradient that says "raise this score to keep this token", where raising it drops the token, trains the
    selection backwards.
    Breaks when: the ranking is ascending, the comparison is turned, D's soft mask is that of the negated score, as in
    `hard - p + p.detach()`, or ranks, `argsort().argsort()`, are used as if they were positions.
    Remedy: rank in descending order, and make the soft mask of the score as it is ranked; positions are
    `argsort(descending=True)[:, :k]`.
    """
    passes = passes_of(probe)
    _, sites = decided(probe)
    for site in sites:
        mask = passes.mask(site)
        _expect_its_own_direction(site, mask)
        kept = site.by_sample(site.decision.detach() > 0.5)  # type: ignore[union-attr]
        score = site.by_sample(site.ranked.detach())
        if site.kind != "ranking" or kept.shape != score.shape or mask.kind not in ("softmax", "elementwise"):
            continue
        lowest = all(
            bool(k.any() and (~k).any() and s[k].max() <= s[~k].min() and s[k].max() < s[~k].max())
            for k, s in zip(kept, score, strict=True)
        )
        highest = all(
            bool(not k.any() or k.all() or s[k].min() >= s[~k].max()) for k, s in zip(kept, score, strict=True)
        )
        if (lowest and mask.own_sign > 0.5) or (highest and mask.own_sign < 0.5):
            raise Violation(
                "the tokens with the lowest scores are kept, while D's gradient says that a higher score keeps a token"
                if lowest else "the tokens with the highest scores are kept, while D's gradient says the opposite",
                where=site.place,
                effect="the selection is trained backwards",
                fix="rank in descending order: score.topk(k).indices",
            )  # fmt: skip
        if not lowest and (part := share_of_the_highest(kept, score)) is not None:
            raise Violation(
                f"the kept tokens are not those with the highest scores: only {part[0]:.0f} of {part[1]:.0f} are, "
                "which is about what chance gives",
                where=site.place,
                effect="what is kept has nothing to do with the score: training it changes nothing",
                fix="positions are score.topk(k).indices; argsort().argsort() gives ranks, which are no positions",
            )


def _expect_its_own_direction(site: Site, mask: SoftMask) -> None:
    """Of gates that are opened one by one: D's slope has the sign with which a number opens its gate."""
    rises = _opens_where_high(site)
    same = site.score.shape == site.ranked.shape and torch.equal(site.score, site.ranked)
    if rises is None or mask.kind != "elementwise" or not same:
        return
    if (mask.own_sign < 0.1) if rises else (mask.own_sign > 0.9):
        raise Violation(
            f"a {'higher' if rises else 'lower'} score keeps a token, while D's gradient says the opposite",
            where=site.decision_call.place,  # type: ignore[union-attr]
            effect="the selection is trained backwards",
            fix="decision = hard + (soft - soft.detach())",
        )


def _opens_where_high(site: Site) -> bool | None:
    """Whether a gate is opened where its number is high, as drawn or compared; None where that cannot be told."""
    call = site.choice
    if call.name == "bernoulli":
        high = True
    elif call.name.strip("_") in ("gt", "ge", "greater", "greater_equal", "lt", "le", "less", "less_equal"):
        more = call.name.strip("_") in ("gt", "ge", "greater", "greater_equal")
        high = more if call.read and call.read[0] is site.ranked else not more
    else:
        return None
    chosen, value = call.tensors[0], site.decision.detach().round()  # type: ignore[union-attr]
    if chosen.shape != value.shape:
        return None
    if torch.equal(chosen.to(value), value):
        return high
    return not high if torch.equal(1 - chosen.to(value), value) else None


def share_of_the_highest(kept: Tensor, score: Tensor) -> tuple[float, float] | None:
    """Of the kept tokens of all samples, how many are among as many highest, and how many are kept; None where that is
    more than chance gives. kept, score: B N. Tokens that all samples keep, or drop, are left out: they are not chosen.
    """
    free = ~(kept.all(0) | (~kept).all(0)) if len(kept) > 1 else torch.ones_like(kept[0])
    kept, score = kept[:, free], score[:, free]
    hits = owed = chance = 0.0
    for k, s in zip(kept, score, strict=True):
        count = int(k.sum())
        if 0 < count < len(k):
            hits += float(k[s.topk(count).indices].sum())
            owed += count
            chance += count * count / len(k)
    return (hits, owed) if owed - chance >= 6 and hits <= (owed + chance) / 2 else None


def _soft_line(reading: Reading, site: Site) -> SourceLine | None:
    graph = reading.graph
    assert site.decision_call is not None
    for number in graph.ancestors(site.decision_call.number):
        call = reading.watched.calls[number]
        after = site.score_call is None or graph.depends(number, site.score_call.number)
        if call.name in ("softmax", "sigmoid", "log_softmax", "gumbel_softmax") and after:
            return call.place
    return site.decision_call.place


@law(needs="call", depends="call.keeps_the_highest", domain=CALL)
def sorted_mask_is_put_back(probe: Probe) -> None:
    """A mask that is made of sorted scores is brought into the order of the tokens before it is used as D.

    Why: in the sorted row the kept ones stand in front. Used as it is, it keeps the first tokens of every sample,
    whatever their scores are.
    Breaks when: `cumsum(sorted) < p`, or a comparison with sorted scores, is multiplied onto tokens that nobody sorted.
    Remedy: `mask = torch.zeros_like(inside).scatter(-1, order, inside)`.
    """
    reading, sites = decided(probe)
    for site in sites:
        kept = site.by_sample(site.decision.detach() > 0.5)  # type: ignore[union-attr]
        behind = reading.graph.ancestors(site.decision_call.number)  # type: ignore[union-attr]
        ranked = next((call for call in map(reading.watched.calls.__getitem__, behind) if call.name == "sort"), None)
        if ranked is None or kept.dim() != 2 or len(kept) < 2 or kept.shape != ranked.tensors[0].shape:
            continue
        in_front = bool((kept[:, 1:] <= kept[:, :-1]).all() and (~kept).any(-1).all())
        score, order = ranked.read[0].detach(), ranked.tensors[1]
        best = torch.zeros_like(kept).scatter(-1, order, kept)
        unsorted = not bool((score[:, 1:] <= score[:, :-1]).all()) and _is_led_by_its_own(site)
        if in_front and unsorted and not torch.equal(best, kept):
            raise Violation(
                "the first tokens of every sample are kept, whatever their scores are: the mask is in sorted order",
                where=site.place,
                effect="what is kept has nothing to do with the score: training it changes nothing",
                fix="mask = torch.zeros_like(inside).scatter(-1, order, inside)",
            )


def _is_led_by_its_own(site: Site) -> bool:
    """Whether D's entries follow the scores at their own places: its soft mask is in the order of the tokens."""
    if site.decision is None or site.score.shape != site.decision.shape or not site.score.requires_grad:
        return False
    for place in range(min(TRIED, site.decision.shape[-1])):
        slope = torch.autograd.grad(site.decision[0, place], site.score, retain_graph=True, allow_unused=True)[0]
        if slope is None or int(slope[0].argmax()) != place:
            return False
    return True


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
