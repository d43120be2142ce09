"""Copies answer as their original does, and weights that were changed are used."""

import torch

from sdtps_ref.properties.kit.later_calls import copies
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.values import modules_in
from sdtps_ref.properties.laws.later_calls.asking import (
    BOTH,
    FEW,
    TRAINING,
    asked,
    expect_answer,
    first_answer,
    subjects,
)

COPIES = ("copy.deepcopy", "pickle", "torch.save and torch.load")
ANSWERED, EVALUATED = copies.answer_with_other_weights, copies.evaluated_with_other_weights
CHANGES = {True: ((ANSWERED, "in place"),), False: ((ANSWERED, "as new data"), (EVALUATED, "in place"))}  # by mode


@law(needs="|".join(FEW), depends="runtime.respects_the_generator", domain=TRAINING)
def copies_answer_alike(probe: Probe) -> None:
    """copy.deepcopy(f), pickle, torch.save and load, and a fresh one that loads the state_dict answer as f does; f
    goes on as before, whatever becomes of the copy.

    Why: a moving average is a deep copy, several processes pickle, a checkpoint is a state_dict. What is lost there, a
    temperature, a flag, a constant, comes back as its default, and nothing says so.
    Breaks when: `__getstate__`, `__reduce__` or `__deepcopy__` leaves something out, a number that training changes is
    no buffer, a weight is held where `state_dict` does not see it, or a closure keeps the first one's tensors.
    Remedy: leave copying to torch; register buffers; hold weights as parameters.
    """
    for subject in subjects(probe, FEW):
        found = first_answer(probe, subject)
        if found is None:
            continue
        built, owed = found
        rest, seed = (subject.arguments, subject.named), probe.case.seed
        for kind in COPIES if isinstance(built, torch.nn.Module) else ():  # of a function there is no other
            for each in (subject.fresh(), built):  # never called, and called before
                seen = asked(probe, copies.answer_of_copy, subject, each, *rest, kind, seed, doing=kind)
                expect_answer(probe, subject, seen, owed, f"that {kind} made", "as the one that it was made of answers")
        if isinstance(built, torch.nn.Module):
            way = copies.answer_beside_copy
            seen = asked(probe, way, subject, built, *rest, COPIES[0], seed, doing="beside a copy")
            why = "as before the weights of a deep copy were changed: the two share something"
            expect_answer(probe, subject, seen, owed, "beside a deep copy", why)
        if not modules_in(built):  # which has no state_dict
            continue
        other = subject.fresh(seed + 1)
        asked(probe, copies.change_weights, subject, other, "in place", doing="given other weights")
        loaded = copies.answer_of_loaded
        seen = asked(probe, loaded, subject, built, other, *rest, seed, doing="loading a state_dict")
        why = "as the one whose state_dict it loaded answers: something is not in it"
        expect_answer(probe, subject, seen, owed, "that loaded a state_dict", why)


@law(needs="|".join(FEW), depends="runtime.respects_the_generator", domain=BOTH)
def weights_may_change(probe: Probe) -> None:
    """After its weights were changed, in place, as by an optimizer, or as new data, f answers as a fresh one with
    those weights.

    Why: that is training. What was made of the weights and kept (a normalised query, a folded scale, a cast to half
    precision) is then the last step's, or the first's.
    Breaks when: something computed from a weight is cached, in `__init__`, by the first call, or by eval().
    Remedy: compute it in every call, or drop it in train mode, in `load_state_dict` and wherever weights are written.
    """
    for subject in subjects(probe, FEW):
        if first_answer(probe, subject) is None:
            continue
        for way, kind in CHANGES[probe.case.training]:
            built, fresh = subject.fresh(), subject.fresh()
            rest = (fresh, subject.arguments, subject.named, kind, probe.case.seed)
            pair = asked(probe, way, subject, built, *rest, doing=f"its weights changed: {kind}")
            why = "as one with these weights answers that was never called before"
            # The new weights are the same to a digit, which a mask of 1e10 multiplies.
            expect_answer(probe, subject, pair[0], pair[1], f"after its weights changed ({kind})", why, 1e-3)
