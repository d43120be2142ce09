"""What else a choice's gradient owes: it stays in its sample, by default and in every choice."""

from __future__ import annotations

import torch

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.values import draw
from sdtps_ref.properties.laws.call.gradient import STRAIGHT_THROUGH, expect_every_site, is_without_parameters
from sdtps_ref.properties.laws.call.reading_of import CALL, passes_of
from sdtps_ref.properties.watching.passes import Passes
from sdtps_ref.properties.watching.road_ends import where_lost
from sdtps_ref.properties.watching.roads import (
    handed_on,
    has_own_backward,
    is_cut,
    makes_hard_mask,
    moved_by_the_chosen,
)


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
        expect_every_site(passes)
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


@law(needs="call", level="SHOULD", depends="call.gradient_reaches_score", domain=CALL)
def what_chooses_is_trained(probe: Probe) -> None:
    """What tokens are chosen by has parameters of its own, or a soft mask that trains what it is made of.

    Why: to choose by attention, or by similarity to a text, is right where it is meant, and follows features that other
    things train. A loss on its hard mask is a constant, and what became of a choice never corrects it.
    Breaks when: the hard mask of a ranking is made under no_grad, of similarities alone.
    Remedy: nothing, where it is meant; else D = hard + (soft - soft.detach()) of a score that is trained.
    """
    passes = passes_of(probe)
    reading = passes.reading()
    for site in reading.sites:
        if site.decision is not None or site.keeps_all or site.kind == "given" or has_own_backward(reading, site):
            continue
        if makes_hard_mask(reading, site) and is_cut(reading, site) and is_without_parameters(reading, site):
            raise Violation(
                "tokens are chosen by what has no parameters, and the hard mask of the choice has no gradient",
                where=where_lost(reading, site),
                effect="the choice follows features that other things train, and a loss on this mask trains nothing",
                fix=STRAIGHT_THROUGH,
            )
