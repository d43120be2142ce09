"""Calls that are not the first: the same input, seed and weights give the same answer, whatever came before."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.kit import differences, later_calls
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.execution_modes import memory
from sdtps_ref.properties.kit.expect import expect_close
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.values import _is_filled, modules_in
from sdtps_ref.properties.laws.multimodal import NAMES, inputs_by_name
from sdtps_ref.properties.signals.model import own_inputs

BOTH = Domain(
    fixed=(
        Case(4, 9, 4, 16, 3, tau=0.3, scores="distinct"),
        Case(4, 9, 4, 16, 3, tau=0.3, scores="distinct", training=False, seed=1),
    )
)
TRAINING = Domain(fixed=BOTH.fixed[:1])
METHODS = ("selector", "aggregator", "pipeline", "branches", "multimodal", "model")
# Modalities are made of selectors and aggregators, as the model is: what takes a copy of everything leaves them out.
FEW = ("selector", "aggregator", "pipeline", "branches", "model")
DISTURBANCES = (
    "a call with other values and its backward pass",
    "a call in inference mode",
    "a call with twice the batch",
    "a call in the other mode",
    "a call without gradients",
    "a call in another dtype",
    "a call under autocast",
    "a call that raised",
    "eval() and train()",
    "frozen and thawed",
    "its own state_dict loaded",
    "ten calls",
)
# Each of these is tried on a fresh one as well: caches are filled by it, or the call after it would mend what it left.
FIRST = ("a call in inference mode", "a call in another dtype", "a call in the other mode", "a call that raised")
COPIES = ("copy.deepcopy", "pickle", "torch.save and torch.load")
CHANGES = {True: ("in place",), False: ("as new data",)}  # by mode
SAME = 1e-5
CARRIED = (
    _is_filled,
    modules_in,
    differences.tensors_of,
    differences.along,
    *[value for value in vars(later_calls).values() if callable(value) and value.__module__ == later_calls.__name__],
)


@dataclass(frozen=True)
class Subject:
    """What is called, and with what. fresh: one more of it, with the same weights; or, given a seed, with others."""

    name: str
    fresh: Callable[..., Any]
    arguments: list[Any]
    named: dict[str, Any]


def subjects(probe: Probe, methods: tuple[str, ...] = METHODS) -> Iterator[Subject]:
    """All that the implementation offers, each ready to be called."""
    case = probe.case
    for method in methods:
        if method not in probe.methods:
            continue
        named: dict[str, Any] = {}
        if method == "model":

            def fresh(seed: int | None = None) -> Any:
                built = probe.build("model", fresh=True, seed=seed)
                probe.script.name(built[0], f"{probe.script.shown(built)}[0]")
                return built[0]

            arguments: list[Any] = []
            named = own_inputs(probe, dict(probe.build("model")[1]))
        elif method == "multimodal":
            arguments = list(inputs_by_name(probe, NAMES))
            fresh = partial(_fresh, probe, "multimodal", modalities=NAMES)
        else:
            fresh = partial(_fresh, probe, method)
            arguments = [probe.tokens, probe.score]
            if method == "aggregator":
                kept = probe.given("kept_tokens", probe.tokens[:, : case.keep])
                arguments = [kept, probe.given("decision", torch.ones_like(kept[:, :, 0]))]
            elif method == "branches":
                arguments.append(probe.given("other_score", probe.score.flip(-1)))
        yield Subject(method, fresh, arguments, named)


def _fresh(probe: Probe, method: str, seed: int | None = None, **changes: Any) -> Any:
    return probe.build(method, fresh=True, seed=seed, **changes)


def asked(probe: Probe, way: Callable[..., Any], subject: Subject, built: Any, *rest: Any, doing: str) -> Any:
    """What `built` answers, by one of the ways of the kit."""
    probe.script.carry(*CARRIED)
    return probe.through(way, built, *rest, name="found", doing=f"{subject.name}, {doing}")


def expect_answer(
    probe: Probe,
    subject: Subject,
    seen: dict[str, Tensor],
    owed: dict[str, Tensor],
    where: str,
    because: str,
    same: float = SAME,
) -> None:
    """Outputs and gradients are what is owed, but for rounding; `same` times their size."""
    size = max(
        (float(part.abs().amax()) for name, part in owed.items() if "output" in name and part.numel()), default=0
    )
    for name, part in owed.items():
        if name not in seen:
            continue
        tolerance = same * (float(part.abs().amax()) + size) if part.numel() else 0.0
        axes = "ijkl"[: part.ndim]
        title = f"{name} of the {subject.name} {where}"
        expect_close(probe, title, axes, seen[name], part, tolerance=tolerance + 1e-30, because=because)


def first_answer(probe: Probe, subject: Subject) -> tuple[Any, dict[str, Tensor]] | None:
    """A fresh one and what it answers first; None where a second one answers otherwise: then nothing is owed."""
    seed = probe.case.seed
    built = subject.fresh()
    owed = asked(
        probe,
        later_calls.answer,
        subject,
        built,
        subject.arguments,
        subject.named,
        seed,
        doing="called for the first time",
    )
    twin = subject.fresh()
    again = asked(
        probe,
        later_calls.answer,
        subject,
        twin,
        subject.arguments,
        subject.named,
        seed,
        doing="called for the first time",
    )
    same = all(torch.equal(part, again[name]) for name, part in owed.items()) and _same_memory(built, twin)
    return (built, owed) if same else None


def _same_memory(one: Any, other: Any) -> bool:
    first, second = memory(one), memory(other)
    return first.keys() == second.keys() and all(torch.equal(part, second[name]) for name, part in first.items())


@law(needs="|".join(METHODS), depends=("runtime.has_no_state", "runtime.respects_the_generator"), domain=BOTH)
def nothing_is_remembered(probe: Probe) -> None:
    """f(x) after other calls = f(x) of a fresh one: after another batch, mode or dtype, autocast, an exception,
    inference mode, no_grad, ten calls; outputs, and the gradients to inputs and parameters.

    Why: what is kept between calls is right as long as calls are alike. The evaluation in the middle of training, the
    last batch, which is smaller, the step that failed and was skipped then change what follows.
    Breaks when: a mask, an index, a position table or noise is cached and its key leaves out a shape, dtype, device or
    mode; a flag is set before and reset after what may raise; a counter anneals something; `train()` does not reach a
    part.
    Remedy: compute from the arguments alone; use `try: ... finally:` for what must be undone.
    """
    for subject in subjects(probe):
        found = first_answer(probe, subject)
        if found is None:
            continue
        built, owed = found
        rest, seed = (subject.arguments, subject.named), probe.case.seed
        for kind in FIRST:
            seen = asked(
                probe,
                later_calls.answer_after,
                subject,
                subject.fresh(),
                *rest,
                kind,
                seed,
                doing=f"called after {kind}",
            )
            why = "as a fresh one answers from the same input, seed and weights"
            expect_answer(probe, subject, seen, owed, f"after {kind}", why)
        for kind in DISTURBANCES:
            asked(probe, later_calls.disturb, subject, built, *rest, kind, doing=kind)
        seen = asked(probe, later_calls.answer, subject, built, *rest, seed, doing="called again")
        if _equal(seen, owed):
            continue
        for kind in DISTURBANCES:  # which of them was it?
            fresh = subject.fresh()
            asked(probe, later_calls.answer, subject, fresh, *rest, seed, doing="called for the first time")
            one = asked(
                probe, later_calls.answer_after, subject, fresh, *rest, kind, seed, doing=f"called after {kind}"
            )
            why = "as it answered before, from the same input, seed and weights"
            expect_answer(probe, subject, one, owed, f"after {kind}", why)
        why = "as it answered first, before the calls between"
        expect_answer(probe, subject, seen, owed, "called again", why)


def _equal(seen: dict[str, Tensor], owed: dict[str, Tensor]) -> bool:
    return all(name in seen and torch.equal(seen[name], part) for name, part in owed.items())


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
                seen = asked(probe, later_calls.answer_of_copy, subject, each, *rest, kind, seed, doing=kind)
                expect_answer(probe, subject, seen, owed, f"that {kind} made", "as the one that it was made of answers")
        if isinstance(built, torch.nn.Module):
            way = later_calls.answer_beside_copy
            seen = asked(probe, way, subject, built, *rest, COPIES[0], seed, doing="beside a copy")
            why = "as before the weights of a deep copy were changed: the two share something"
            expect_answer(probe, subject, seen, owed, "beside a deep copy", why)
        if not modules_in(built):  # which has no state_dict
            continue
        other = subject.fresh(seed + 1)
        asked(probe, later_calls.change_weights, subject, other, "in place", doing="given other weights")
        loaded = later_calls.answer_of_loaded
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
    Remedy: compute it in every call, or drop it in every call in train mode and in `load_state_dict`.
    """
    for subject in subjects(probe, FEW):
        if first_answer(probe, subject) is None:
            continue
        for kind in CHANGES[probe.case.training]:
            built, fresh = subject.fresh(), subject.fresh()
            rest = (fresh, subject.arguments, subject.named, kind, probe.case.seed)
            way = later_calls.answer_with_other_weights
            pair = asked(probe, way, subject, built, *rest, doing=f"its weights changed: {kind}")
            why = "as one with these weights answers that was never called before"
            # The new weights are the same to a digit, which a mask of 1e10 multiplies.
            expect_answer(probe, subject, pair[0], pair[1], f"after its weights changed ({kind})", why, 1e-3)


@law(needs="|".join(METHODS), depends="runtime.respects_the_generator", domain=BOTH)
def memory_may_be_used_again(probe: Probe) -> None:
    """f(x) depends on the values in x, not on where they lie: a buffer that is filled anew is another input.

    Why: data loaders and captured graphs fill one buffer again and again, and the allocator gives freed memory back.
    Breaks when: a result is kept by `data_ptr()`, `id()` or the tensor itself, and is given out while the values
    differ.
    Remedy: keep nothing between calls.
    """
    for subject in subjects(probe):
        found = first_answer(probe, subject)
        if found is None:
            continue
        rest, fresh = (subject.arguments, subject.named), subject.fresh()
        way = later_calls.answer_in_the_same_memory
        seen = asked(probe, way, subject, fresh, *rest, probe.case.seed, doing="called with a buffer filled anew")
        why = "as for these values in memory of their own: something was remembered by address"
        expect_answer(probe, subject, seen, found[1], "in memory that held other values", why)


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
            way = later_calls.answer_after_a_newer_call
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
        way = later_calls.accumulated
        seen = asked(probe, way, subject, subject.fresh(), *rest, doing="backward twice")
        why = "half of what two backward passes left in .grad should be what one gives"
        expect_answer(probe, subject, seen, found[1], "accumulated twice, and halved,", why)
