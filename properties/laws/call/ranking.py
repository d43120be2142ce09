"""Which tokens the user's own call keeps: those with the highest scores, as D's gradient has it."""

from __future__ import annotations

import torch
from torch import Tensor

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, decided, passes_of
from sdtps_ref.properties.watching.direction import points_backwards
from sdtps_ref.properties.watching.sites import Site
from sdtps_ref.properties.watching.soft_mask import SoftMask

TRIED = 6  # entries of D
FLAT = 1e-5  # a slope of D below this is none


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
        if points_backwards(site):
            raise Violation(
                "a higher score keeps a token, while D's gradient says the opposite",
                where=site.decision_call.place,  # type: ignore[union-attr]
                effect="the selection is trained backwards",
                fix="decision = hard + (soft - soft.detach())",
            )
        kept = site.by_sample(site.decision.detach() > 0.5)  # type: ignore[union-attr]
        score = site.by_sample(site.ranked.detach())
        if _is_turned(site):
            score = -score
        if site.kind != "ranking" or kept.shape != score.shape or mask.kind not in ("softmax", "elementwise"):
            continue
        if mask.rate < FLAT:
            continue  # what rounding leaves has no direction
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


def _is_turned(site: Site) -> bool:
    """Whether what is ranked falls where the score rises, as its negative does."""
    ranked, score = site.ranked.detach().double(), site.score.detach().double()
    if ranked.shape != score.shape or ranked.dim() != 2:
        return False
    ranked, score = (part - part.mean(-1, keepdim=True) for part in (ranked, score))
    return bool(((ranked * score).sum(-1) < -0.9 * ranked.norm(dim=-1) * score.norm(dim=-1)).all())


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
