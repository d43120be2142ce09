"""Backward passes that wait for one another, and gradients that add up."""

from sdtps_ref.properties.kit.later_calls import answers, disturbances
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.later_calls.asking import FEW, TRAINING, asked, expect_answer, first_answer, subjects


@law(needs="|".join(FEW), depends="runtime.respects_the_generator", domain=TRAINING)
def backward_passes_may_wait(probe: Probe) -> None:
    """The gradient of a call is its own, though newer calls came before its backward pass, or a newer one's backward
    pass.

    Why: two views of a picture, a teacher and a student, or an accumulated loss call one module twice and go backward
    once. What the backward pass reads from the module is then the newer call's.
    Breaks when: an autograd.Function, a hook or a checkpoint reads an attribute of the module, or a saved buffer is
    written to by the next call.
    Remedy: save what the backward pass needs with the call, by `ctx.save_for_backward` or as an argument.
    """
    for subject in subjects(probe, FEW):
        found = first_answer(probe, subject)
        if found is None:
            continue
        for backward in (False, True):
            rest = (subject.arguments, subject.named, probe.case.seed, backward)
            way = disturbances.answer_after_a_newer_call
            seen = asked(probe, way, subject, subject.fresh(), *rest, doing="with newer calls before its backward pass")
            why = "as without newer calls between forward and backward pass"
            expect_answer(probe, subject, seen, found[1], "with newer calls before its backward pass", why)


@law(needs="|".join(FEW), depends="runtime.respects_the_generator", domain=TRAINING)
def gradients_add_up(probe: Probe) -> None:
    """Two calls and two backward passes leave in `.grad` twice what one leaves, for every input and parameter.

    Why: gradients are accumulated over small batches, over branches, and over every place where a weight is shared.
    Breaks when: a hook or an autograd.Function writes `.grad` itself, clears it, or counts calls.
    Remedy: return gradients; let autograd add them.
    """
    for subject in subjects(probe, FEW):
        found = first_answer(probe, subject)
        if found is None:
            continue
        rest = (subject.arguments, subject.named, probe.case.seed)
        way = answers.accumulated
        seen = asked(probe, way, subject, subject.fresh(), *rest, doing="backward twice")
        why = "half of what two backward passes left in .grad should be what one gives"
        expect_answer(probe, subject, seen, found[1], "accumulated twice, and halved,", why)
