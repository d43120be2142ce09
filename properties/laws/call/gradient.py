"""A gradient leads from what a call returns to the score, through D."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.laws.call.reading_of import CALL, passes_of
from sdtps_ref.properties.watching.forms import SOFTENS, SUMS, meeting_of
from sdtps_ref.properties.watching.passes import Passes
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call
from sdtps_ref.properties.watching.road_ends import (
    where_flat,
    where_it_ends,
    where_lost,
    where_picked_without,
    where_pooled_without,
)
from sdtps_ref.properties.watching.roads import (
    has_own_backward,
    is_cut,
    kept_scores_moved,
    makes_hard_mask,
    moved,
    moved_elsewhere,
    returned_with_gradient,
)
from sdtps_ref.properties.watching.sites import Site, reaches

ROUNDING = 30  # units in the last place, of the sum of all parts without their signs
NEVER = "the score is never trained: the selection stays what it was at initialisation"
STRAIGHT_THROUGH = "decision = hard + (soft - soft.detach()), used where the tokens are pooled"


@law(needs="call", domain=CALL)
def gradient_reaches_score(probe: Probe) -> None:
    """d(output)/d(score) is there, through D where there is one, and moves what serves the score alone.

    Why: without it the loss still falls, since the rest of the model learns, and the selection stays what it was at
    initialisation.
    Breaks when: the score is made under no_grad or detached, the choice is turned into indices or booleans and
    nothing soft is kept, D is computed and not passed on, or D is detached before it is used.
    Remedy: D = hard + (soft - soft.detach()), and use D, not its indices, where tokens are pooled.
    """
    expect_every_site(passes_of(probe))


def expect_every_site(passes: Passes) -> None:
    reading = passes.reading()
    for site in reading.sites:
        if site.keeps_all or site.kind == "given" or not (reading.outputs or reading.returns_decision):
            continue
        if _is_left_over(reading, site):
            continue
        if site.decision is None:
            _expect_a_gradient(passes, reading, site)
        elif not site.score_is_behind:
            _refuse_other_score(passes, reading, site)
        else:
            _expect_decision_in_use(passes, reading, site)


def _is_left_over(reading: Reading, site: Site) -> bool:
    """Whether this is the last turn of a loop, whose choice nothing that is returned was made of."""
    made = [reading.watched.watch.number_of(tensor) for tensor in reading.watched.outputs]
    numbers = [site.choice.number, *(call.number for call in site.further)]
    if any(n is not None and reading.graph.depends(n, number) for n in made for number in numbers):
        return False
    return any(other is not site and str(other.place) == str(site.place) for other in reading.sites)


def _expect_decision_in_use(passes: Passes, reading: Reading, site: Site) -> None:
    assert site.decision_call is not None
    pooled = where_pooled_without(reading, site)
    if moved(reading, site.decision) and _is_the_same_for_all(passes, reading, site):
        raise Violation(
            "every token's D gets the same gradient, and a softmax's entries sum to one whatever the scores are: "
            f"nothing of it reaches the score{_named(passes.names(_untrained(reading, site)))}",
            where=site.decision_call.place,
            effect=NEVER,
            fix="use D where the tokens are pooled; a loss on the mean of D trains no softmax",
        )
    if (cancelling := _where_it_cancels(reading, site)) is not None:
        raise Violation(
            "D is added alike to all that this softmax shares out among, and cancels: no gradient leads from the "
            f"pooled tokens to the score{_named(passes.names(_untrained(reading, site)))}",
            where=cancelling.place,
            effect=NEVER,
            fix="let the softmax that D masks run over the kept tokens: weights.softmax(dim=-1), B M K",
        )
    if moved(reading, site.decision) or (returned_with_gradient(reading, site) and pooled is None):
        return
    if kept_scores_moved(reading, site) and pooled is None:
        return  # the score weighs the kept tokens by another road
    own = passes.names(_untrained(reading, site))
    fix = "pass D on to where the tokens are pooled, with its gradient"
    if returned_with_gradient(reading, site):
        what = (
            "tokens are pooled without D, which is only returned: no gradient leads from the pooled tokens to the score"
        )
    elif (flat := where_flat(reading, site.decision_call)) is not None:
        pooled = flat.place
        what = f"D's gradient ends here: {flat.name} has no slope where D is{_named(own)}"
        fix = f"use D without {flat.name}: it is 0 or 1 already, and needs its slope there"
    else:
        ends = where_it_ends(reading, site.decision_call)
        pooled = ends or pooled or where_picked_without(reading, site)
        what = "D's gradient ends here" if ends else "tokens are pooled without D, which is computed and not handed on"
        what += f": no gradient leads from the output to the score{_named(own)}"
    raise Violation(what, where=pooled or site.decision_call.place, effect=NEVER, fix=fix)


def _is_the_same_for_all(passes: Passes, reading: Reading, site: Site) -> bool:
    """Whether all of a sample's D get one gradient, of which a softmax over the tokens leaves nothing."""
    slope = None if site.decision is None else reading.gradient(site.decision)
    if slope is None or slope.dim() != 2 or slope.shape[1] < 3 or passes.mask(site).kind != "softmax":
        return False
    slope = site.by_sample(slope)
    if not slope.isfinite().all() or not all(output.isfinite().all() for output in reading.outputs):
        return False
    spread = slope.amax(-1) - slope.amin(-1)
    return bool((spread <= 1e-5 * slope.abs().amax(-1)).all())


def _where_it_cancels(reading: Reading, site: Site) -> Call | None:
    """The softmax that leaves nothing of D but rounding: it runs over an axis along which D is one number."""
    assert site.decision_call is not None
    meeting = meeting_of(reading, site.decision_call)
    if meeting is None or meeting.name not in SUMS or not meeting.tensors:
        return None
    above = reading.gradient(meeting.tensors[0])
    of_decision = [t for t in meeting.read if _depends(reading, t, site.decision_call)]
    slope = reading.gradient(of_decision[0]) if len(of_decision) == 1 else None
    if above is None or slope is None or above.shape != meeting.tensors[0].shape or slope.shape != of_decision[0].shape:
        return None
    # Each entry is a sum over the axes along which it is one number, and is little beside what it is the sum of.
    summed = above.abs().sum_to_size(slope.shape)
    coarsest = max(torch.finfo(t.dtype).eps for t in (*meeting.read, above) if t.is_floating_point())
    if (
        not slope.any()
        or not summed.isfinite().all()
        or bool((slope.abs() > ROUNDING * coarsest * summed.amax()).any())
    ):
        return None
    after = (reading.watched.calls[n] for n in reading.graph.descendants(meeting.number))
    return next((call for call in after if call.name == "softmax"), None)


def _depends(reading: Reading, tensor: Tensor, call: Call) -> bool:
    number = reading.watched.watch.number_of(tensor)
    return number is not None and reading.graph.depends(number, call.number)


def _expect_a_gradient(passes: Passes, reading: Reading, site: Site) -> None:
    """Without D. Pruning by what is trained elsewhere is right; see `choice_is_trained` for what serves the choice."""
    if has_own_backward(reading, site) or _is_made_of_another(reading, site):
        return
    if moved(reading, site.score):
        _expect_more_than_the_dropped(reading, site)
        return
    left = [t for t in _untrained(reading, site) if not _is_trained_by_another(reading, t)]
    own = passes.names(left)
    if own:
        what = f"the choice carries no gradient: none leads from the output to the score{_named(own)}"
        raise Violation(what, where=where_lost(reading, site), effect=NEVER, fix=STRAIGHT_THROUGH)
    if makes_hard_mask(reading, site) and (is_cut(reading, site) or not moved_elsewhere(reading, site)):
        if is_cut(reading, site) and is_without_parameters(reading, site):
            return  # there is nothing in it to train; `what_chooses_is_trained` says so
        if not left and passes.names(_untrained(reading, site)):
            return  # what it is made of is trained by another choice, as where one is made for eval mode besides
        what = "the choice is a hard mask without a gradient: none leads from the output to the score"
        raise Violation(what, where=where_lost(reading, site), effect=NEVER, fix=STRAIGHT_THROUGH)


def _is_trained_by_another(reading: Reading, tensor: Tensor) -> bool:
    """Whether the D of another choice, returned with its gradient, leads to it."""
    return any(
        site.decision is not None and returned_with_gradient(reading, site) and reaches(site.decision, tensor)
        for site in reading.sites
    )


def is_without_parameters(reading: Reading, site: Site) -> bool:
    """Whether tokens are ranked by what is made of features and has no parameters, without a soft mask beside the hard
    one. A score that is passed in may have parameters where it comes from."""
    made_of = reading.upstream(site.score_call, site.score)
    if any(isinstance(leaf, nn.Parameter) for leaf in made_of) or not any(leaf.dim() > 2 for leaf in made_of):
        return False
    number = reading.watched.watch.number_of(site.ranked)
    after = () if number is None else reading.graph.descendants(number)
    softened = (call for n in after if (call := reading.watched.calls[n]).name in SOFTENS)
    return not any(t.shape == site.ranked.shape for call in softened for t in call.tensors)


def _is_made_of_another(reading: Reading, site: Site) -> bool:
    """Whether it counts or compares what an earlier choice chose, as where a capacity is full."""
    number = reading.watched.watch.number_of(site.ranked)
    earlier = [other.choice.number for other in reading.every_site if other.choice.number < site.choice.number]
    return (
        number is not None
        and not site.ranked.requires_grad
        and any(reading.graph.depends(number, other) for other in earlier)
    )


def _expect_more_than_the_dropped(reading: Reading, site: Site) -> None:
    """Where a hard mask is made, the extra token's own small gradient does not stand in for D's."""
    if kept_scores_moved(reading, site) or moved_elsewhere(reading, site) or not makes_hard_mask(reading, site):
        return
    raise Violation(
        "no gradient reaches the scores of the kept tokens: the score is trained by the dropped ones alone",
        where=where_lost(reading, site),
        effect="the score learns how to weigh what was dropped, and not what to keep",
        fix=STRAIGHT_THROUGH,
    )


def _refuse_other_score(passes: Passes, reading: Reading, site: Site) -> None:
    place: SourceLine | None = where_lost(reading, site)
    if place == site.place and site.decision_call is not None:
        place = site.decision_call.place
    own = _named(passes.names(_untrained(reading, site)))
    raise Violation(
        f"D's gradient does not lead to the score that the tokens are ranked by{own}",
        where=place,
        effect="what is trained is not what chooses: the selection does not follow its gradient",
        fix="make the soft mask of the very score that is ranked, and do not detach it",
    )


def _untrained(reading: Reading, site: Site) -> list[torch.Tensor]:
    return [t for t in reading.upstream(site.score_call, site.score) if reading.gradient(t) is None]


def _named(own: list[str]) -> str:
    if not own:
        return ""
    shown = ", ".join(own[:2]) + (f" and {len(own) - 2} more" if len(own) > 2 else "")
    return f" ({shown} get{'s' if len(own) == 1 else ''} none)"
