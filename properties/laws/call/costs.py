"""Costs of a choice, such as a budget or a rate, that are added to a loss or returned in the user's own call."""

from __future__ import annotations

import torch
from torch import Tensor

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, decided, passes_of
from sdtps_ref.properties.watching.passes import Passes
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call, tensors_in, watch
from sdtps_ref.properties.watching.sites import Site
from sdtps_ref.properties.watching.terms_of_loss import Added, counted_at, is_cut, is_small, loss_of, terms_of

DEVIATIONS = ("pow", "pow_", "__pow__", "square", "abs", "relu", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
EFFECT = "it regulates nothing: no parameter is moved by it, whatever its weight is"
FIX = "compute it from D = hard + (soft - soft.detach()): decision.mean(dim=1) for hard.mean(dim=1)"
TRIED = ((1, False), (2, False), (0, True), (1, True))  # seeds, and other inputs, in which a count that varies shows it


@law(needs="call", depends="call.gradient_reaches_score", domain=CALL)
def cost_of_the_choice_is_trained(probe: Probe) -> None:
    """What a choice costs, added to a loss or returned for it, is computed from D or the soft mask.

    Why: a hard mask has no gradient, and neither has its mean. The budget is part of the loss, is plotted and weighed,
    and no parameter is moved by it: as many tokens are kept as the other terms ask for, whatever its weight is.
    Breaks when: `hard.mean(dim=1)`, `(score > 0).float().sum(1)` or the number of kept indices is held to a target. A
    share that is returned as it is may be there to be looked at; its squared distance from a target is a cost.
    Remedy: the same of D, whose value it is: `decision.mean(dim=1)`, with D = hard + (soft - soft.detach()).
    """
    passes = passes_of(probe)
    reading, sites = decided(probe)
    _expect_returned_ones_trained(passes, reading, sites)
    loss = loss_of(reading)
    if loss is None:
        raise Unsupported("no loss is returned")
    terms = terms_of(reading, loss)
    for added in terms.added:
        for site in sites:
            counted = counted_at(reading, added, site)
            if counted is None or _is_answered_for(reading, terms.trained) or is_cut(reading, loss):
                continue
            if _varies(passes, added) and _moves_nothing(reading, added, loss):
                raise Violation(
                    f"a number made of the hard choice, {float(added.number.float().mean()):.3g} here, is added to "
                    f"the loss (line {added.by.place.line if added.by.place else '?'}) and has no gradient",
                    where=counted.place,
                    effect=EFFECT,
                    fix=FIX,
                )


def _expect_returned_ones_trained(passes: Passes, reading: Reading, sites: list[Site]) -> None:
    """Refuse how far the hard choice is from a target, returned as one number without a gradient."""
    returned = [t for t in tensors_in(reading.watched.output) if t.is_floating_point() and is_small(t)]
    made_by = reading.watched.watch.number_of
    trained = [(t, made_by(t)) for t in returned if t.requires_grad]
    for number in (t for t in returned if not t.requires_grad and t.numel() == 1):
        made = made_by(number)
        if made is None:
            continue
        added = Added(number, made, reading.watched.calls[made])
        for site in sites:
            counted = counted_at(reading, added, site)
            if counted is None or not _is_a_distance(reading, added, counted) or not _varies(passes, added):
                continue
            if trained and _is_answered_for(reading, trained):
                continue
            raise Violation(
                f"how far the hard choice is from a target, {float(number):.3g} here, is returned and has no gradient",
                where=counted.place,
                effect=EFFECT,
                fix=FIX,
            )


def _is_a_distance(reading: Reading, added: Added, counted: Call) -> bool:
    """Whether what was counted is squared, or its size taken, on the way to the number."""
    assert added.made is not None
    after = [n for n in (*reading.graph.ancestors(added.made), added.made) if reading.graph.depends(n, counted.number)]
    return any(reading.watched.calls[n].name in DEVIATIONS for n in after)


def _is_answered_for(reading: Reading, trained: list[tuple[Tensor, int | None]]) -> bool:
    """Whether another term is made of what the scores are made of, and of nothing else: it may train the cost."""
    behind = {id(t) for site in reading.sites for t in reading.upstream(site.score_call, site.score)}
    found = [reading.upstream(None if n is None else reading.watched.calls[n], term) for term, n in trained]
    found = [own for own in found if own]
    return not found or any(all(id(t) in behind for t in own) for own in found)


def _varies(passes: Passes, added: Added) -> bool:
    """Whether other inputs and noise give another number: one of a fixed K is a constant, and meant to be."""
    made = added.made
    for seed, changed in TRIED:
        try:
            calls = watch(passes.subject.run(seed, changed=changed), seed).calls
        except Exception:  # the code does not bear it
            continue
        if made is None or made >= len(calls) or calls[made].name != passes.reading().watched.calls[made].name:
            continue
        now = calls[made].tensors
        if now and (now[0].shape != added.number.shape or not torch.allclose(now[0].detach(), added.number)):
            return True
    return False


def _moves_nothing(reading: Reading, added: Added, loss: Tensor) -> bool:
    """Whether the loss follows that number, and its gradients are the same whatever it is."""
    made, last = added.made, reading.watched.watch.number_of(loss)
    if made is None or last is None:
        return False
    try:
        again = reading.again({made: lambda number: number * 1.5 + 1})
    except Exception:  # the code does not bear it
        return False
    if [call.name for call in again.calls] != [call.name for call in reading.watched.calls]:
        return False
    other = again.calls[last].tensors[0]
    held = [t for t in reading.upstream(reading.watched.calls[last], loss) if isinstance(t, torch.nn.Parameter)]
    if not held or not other.requires_grad or torch.allclose(other.detach(), loss.detach(), rtol=1e-6, atol=1e-7):
        return False
    before, after = (
        torch.autograd.grad(end.sum(), held, retain_graph=True, allow_unused=True) for end in (loss, other)
    )
    return all(
        (a is None) == (b is None) and (a is None or b is None or torch.allclose(a, b, rtol=1e-3, atol=1e-6))
        for a, b in zip(before, after, strict=True)
    )
