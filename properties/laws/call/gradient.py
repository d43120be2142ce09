"""What reaches the score in a training step of the user's own module."""

from __future__ import annotations

import torch
from torch import nn

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.kit.values import draw
from sdtps_ref.properties.laws.call.reading_of import CALL, passes_of
from sdtps_ref.properties.watching.passes import Passes
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.roads import (
    handed_on,
    has_own_backward,
    is_cut,
    kept_scores_moved,
    makes_hard_mask,
    moved,
    moved_by_the_chosen,
    moved_elsewhere,
    returned_with_gradient,
    where_flat,
    where_it_ends,
    where_lost,
    where_picked_without,
    where_pooled_without,
)
from sdtps_ref.properties.watching.sites import Site

NEVER = "the score is never trained: the selection stays what it was at initialisation"
NOTHING_OF_ITS_OWN = "the choice follows features that other things train, and a loss on this mask trains nothing"
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
    _expect_every_site(passes_of(probe))


def _expect_every_site(passes: Passes) -> None:
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


def _expect_a_gradient(passes: Passes, reading: Reading, site: Site) -> None:
    """Without D. Pruning by what is trained elsewhere is right; see `choice_is_trained` for what serves the choice."""
    if has_own_backward(reading, site) or _is_made_of_another(reading, site):
        return
    if moved(reading, site.score):
        _expect_more_than_the_dropped(reading, site)
        return
    own = passes.names(_untrained(reading, site))
    if own:
        what = f"the choice carries no gradient: none leads from the output to the score{_named(own)}"
        raise Violation(what, where=where_lost(reading, site), effect=NEVER, fix=STRAIGHT_THROUGH)
    if makes_hard_mask(reading, site) and (is_cut(reading, site) or not moved_elsewhere(reading, site)):
        what = "the choice is a hard mask without a gradient: none leads from the output to the score"
        upstream = reading.upstream(site.score_call, site.score)
        effect = NEVER if any(isinstance(leaf, nn.Parameter) for leaf in upstream) else NOTHING_OF_ITS_OWN
        raise Violation(what, where=where_lost(reading, site), effect=effect, fix=STRAIGHT_THROUGH)


def _is_made_of_another(reading: Reading, site: Site) -> bool:
    """Whether it counts or compares what an earlier choice chose, as where a capacity is full."""
    number = reading.watched.watch.number_of(site.ranked)
    earlier = [other.choice.number for other in reading.sites if other.choice.number < site.choice.number]
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


@law(needs="call", depends="call.gradient_reaches_score", domain=CALL)
def own_backward_stays_in_its_sample(probe: Probe) -> None:
    """Where the choice has a backward pass of its own, as perturbed top-K has, a sample's output sends its gradient to
    that sample's scores alone.

    Why: such a Function is right in its own way, with no D that is exactly 0 or 1. What it hands back to the wrong
    sample trains every one by what happens to its neighbours.
    Breaks when: samples and perturbations are averaged over together, or the batch axis is summed away.
    Remedy: reduce over the perturbations alone: `(gradient.unsqueeze(1) * estimate).mean(1)`.
    """
    reading = passes_of(probe).reading()
    sites = [site for site in reading.sites if site.decision is None and has_own_backward(reading, site)]
    if not sites:
        raise Unsupported("no choice with a backward pass of its own was seen")
    for site in sites:
        score = handed_on(reading, site)
        batch = 0 if score is None else score.shape[0]
        outputs = [t for t in reading.outputs if t.dim() > 1 and t.shape[0] == batch]
        if score is None or batch < 2 or not outputs:
            raise Unsupported("its output holds no row for each sample")
        cotangents = [draw("normal", tuple(t.shape), 29).to(t) for t in outputs]
        for cotangent in cotangents:
            cotangent[1:] = 0
        slope = torch.autograd.grad(outputs, score, cotangents, retain_graph=True, allow_unused=True)[0]
        own, leaked = (0.0, 0.0) if slope is None else (float(slope[0].norm()), float(slope[1:].norm()))
        if leaked > 1e-3 * own:
            raise Violation(
                "the gradient that the choice hands back crosses samples: that of the first sample's output goes to "
                "the others' scores",
                where=site.place,
                effect="every sample is trained by what happens to the others in its batch",
                fix="reduce over the perturbations alone, and keep the batch axis",
            )


@law(needs="call", level="SHOULD", domain=CALL)
def default_is_trained(probe: Probe) -> None:
    """Built without its switches, as most people build it, a gradient reaches the score too.

    Why: a flag such as `use_gumbel=False` that takes the straight-through path away leaves a module that runs, whose
    score is never trained, for whoever does not know the flag.
    Breaks when: the hard mask alone is used where the flag is off.
    Remedy: take the noise away with the flag, and keep D = hard + (soft - soft.detach()).
    """
    subject = passes_of(probe).subject
    if subject.by_default is None:
        raise Unsupported("no switch that is off by default was turned on")
    passes = Passes(subject.by_default)
    try:
        _expect_every_site(passes)
    except Violation as found:
        names = ", ".join(f"{switch}=False" for switch in subject.switches)
        raise Violation(
            f"with {names}, as by default: {found}",
            where=found.where,
            effect=f"whoever leaves {names} trains everything but the score",
            fix=found.fix,
        ) from found


@law(needs="call", level="SHOULD", depends="call.gradient_reaches_score", domain=CALL)
def choice_is_trained(probe: Probe) -> None:
    """A score that is returned beside what it chose is moved by that choice: d(chosen)/d(score) is there.

    Why: tokens can be pruned by what is trained for something else, such as attention, or by a score with labels of its
    own. Where that is not meant, a loss on what was chosen never reaches the score.
    Breaks when: the chosen tokens are picked by index alone, and the score is returned for a loss beside.
    Remedy: D = hard + (soft - soft.detach()), used where the tokens are pooled; or nothing, where it is meant.
    """
    passes = passes_of(probe)
    reading = passes.reading()
    for site in reading.sites:
        if site.decision is not None or site.kind == "given" or site.keeps_all or not reading.outputs:
            continue
        if has_own_backward(reading, site):
            continue
        if passes.returns_score(reading, site) and not moved_by_the_chosen(reading, site):
            raise Violation(
                "the score that tokens are chosen by is returned, but no gradient reaches it from what is chosen",
                where=where_lost(reading, site),
                effect="only a loss on the score itself trains it, whatever the chosen tokens are good for",
                fix=STRAIGHT_THROUGH + "; or nothing, if the score has labels of its own",
            )
