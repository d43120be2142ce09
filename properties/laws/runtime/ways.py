"""The same call run another way gives the same gradient. A part of `runtime`."""

import traceback

import torch
from torch import Tensor

from sdtps_ref.properties.kit import ways_of_running
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe, SubjectError
from sdtps_ref.properties.laws.later_calls.asking import METHODS, asked, expect_answer, first_answer, subjects

TRAIN = Case(4, 12, 5, 16, 3, tau=0.7, scores="distinct")
EVAL = Case(4, 12, 5, 16, 3, tau=0.7, scores="distinct", training=False, seed=1)
TIES = Case(3, 10, 4, 8, 2, scores="ties", seed=3)
DOUBLE = Case(3, 9, 4, 8, 2, tau=0.7, dtype="float64", scores="distinct", training=False, seed=2)
CALLABLE = ("selector", "aggregator", "pipeline", "branches")  # which take tensors alone
TRANSFORMS = ("torch.func.grad", "torch.func.jvp", "torch.func.vmap", "torch.func.functional_call")
WITHOUT = ("of inputs that need none", "under no_grad", "in inference mode")
ALIGNED = 0.98  # cosine of a gradient under autocast with the one without; bfloat16 leaves 0.999
FACTOR = 1.3
SMALL = 1e-3


@law(needs="|".join(METHODS), depends="runtime.respects_the_generator", domain=Domain(fixed=(TRAIN, EVAL, TIES)))
def same_while_compiling(probe: Probe) -> None:
    """While `torch.compiler.is_compiling()`, `is_exporting()` or `torch.jit.is_tracing()` is true, f answers as it
    does else.

    Why: code that asks takes another way there, and no test of the eager code ever takes it: without noise, without D,
    with a slower cousin of topk. The flags are raised here around an ordinary call.
    Breaks when: noise, the straight-through path or a check of sizes is left out "while compiling".
    Remedy: skip only checks of values there.
    """
    for subject in subjects(probe):
        found = first_answer(probe, subject)
        if found is None:
            continue
        built, owed = found
        probe.script.carry(ways_of_running._exists)
        for flags in ("compiling", "exporting", "tracing"):
            way, rest = ways_of_running.answer_while, (subject.arguments, subject.named, probe.case.seed)
            probe.script.carry(*_CARRIED)
            doing = f"{subject.name}, as if torch were {flags}"
            try:
                seen = probe.through(way, flags, built, *rest, name="found", doing=doing)
            except SubjectError as error:
                if _is_refused_by_torch(error.original):
                    continue
                raise
            why = "as it answers else: it takes another way there"
            expect_answer(probe, subject, seen, owed, f"while torch says that it is {flags}", why)


def _is_refused_by_torch(error: BaseException) -> bool:
    """Whether a part of torch says that it cannot be traced, as parametrizations do."""
    frames = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and frames[-1].startswith(("torch.nn.utils", "torch.jit"))


_CARRIED = (ways_of_running._exists, ways_of_running.directions)


@law(needs="|".join(METHODS), depends="gradient.is_finite", domain=Domain(fixed=(TRAIN, EVAL)))
def gradient_under_autocast(probe: Probe) -> None:
    """Under torch.autocast in bfloat16 every gradient has the direction and the size that it has without, to within a
    few parts in a hundred; and where the score itself is made under autocast it is not zero.

    Why: mixed precision is how this is trained, and a gradient that is cut or scaled only there is cut in every run.
    Breaks when: a float32 copy is made of a detached tensor, an autograd.Function has no `custom_fwd`, or the mask's
    constant is rounded to a number of bfloat16.
    Remedy: leave casting to autocast; `score.float()` keeps the gradient, `score.detach().float()` does not.
    """
    for subject in subjects(probe):
        # A score that is made under autocast may rank others first, and a dropout draws others in another dtype.
        by_value = subject.name == "selector" or (not probe.case.training and subject.name in CALLABLE)
        found = first_answer(probe, subject)
        if found is None:
            continue
        built, owed = found
        rest = (subject.arguments, subject.named, "bfloat16", probe.case.seed)
        way = ways_of_running.answer_under_autocast
        seen = asked(probe, way, subject, built, *rest, doing="under autocast")
        for name, part in owed.items():
            if name.startswith("gradient to") and name in seen:
                _expect_aligned(probe, subject.name, name, seen[name], part, by_value)


def _expect_aligned(probe: Probe, what: str, name: str, seen: Tensor, owed: Tensor, by_value: bool) -> None:
    one, other = seen.detach().double().flatten(), owed.detach().double().flatten()
    size, due = float(one.norm()), float(other.norm())
    if due <= SMALL or not (by_value or size == 0):
        return  # a bias that only shifts a softmax has a gradient of rounding
    cosine = float(one @ other) / max(size * due, 1e-300)
    least = ALIGNED if len(other) > 1 else 0.0
    if size == 0 or cosine < least or not 1 / FACTOR < size / due < FACTOR:
        raise Violation(
            f"{name} of the {what} under autocast has norm {size:.4g} and the cosine {cosine:.4g} with the one "
            "without, but "
            f"should have norm {due:.4g} and a cosine of 1",
            check=((one * other).sum() >= least * one.norm() * other.norm())
            & (one.norm() * FACTOR > other.norm())
            & (other.norm() * FACTOR > one.norm()),
        )


@law(needs="|".join(METHODS), depends="runtime.respects_the_generator", domain=Domain(fixed=(TRAIN, EVAL)))
def same_without_gradients(probe: Probe) -> None:
    """Where no gradient is asked for, f gives what it gives where one is: of inputs that need none, under no_grad, and
    in inference mode.

    Why: people evaluate so, cache features so, and freeze the score's network so. Code that asks whether a gradient is
    needed takes another way there, which no training step ever took.
    Breaks when: a shorter way "for inference" picks tokens in another order, leaves out a part, or rounds otherwise.
    Remedy: one way for both; what is saved by another is little beside the pooling.
    """
    for subject in subjects(probe):
        found = first_answer(probe, subject)
        if found is None:
            continue
        for kind in WITHOUT:
            rest = (subject.arguments, subject.named, probe.case.seed)
            probe.script.carry(*_CARRIED)
            seen = probe.through(
                ways_of_running.answer_without_gradients,
                kind,
                subject.fresh(),
                *rest,
                name="found",
                doing=f"{subject.name} {kind}",
            )
            expect_answer(probe, subject, seen, found[1], kind, "as where a gradient is asked for")


@law(needs="|".join(METHODS), depends="runtime.respects_the_generator", domain=Domain(fixed=(TRAIN,)))
def checkpointed(probe: Probe) -> None:
    """checkpoint(f) answers as f does, though another call of f comes before its backward pass: outputs, and gradients.

    Why: large models are trained so: the forward pass is run again in the backward pass, with the generator as it was.
    What is drawn from elsewhere, or read from the module, is another the second time.
    Breaks when: noise comes from a generator of one's own, numpy or Python, a counter decides, or the call keeps
    something for the next one.
    Remedy: draw from torch's global generator, which a checkpoint puts back; keep nothing.
    """
    for subject in subjects(probe):
        found = first_answer(probe, subject)
        if found is None:
            continue
        for reentrant in (False, True):
            rest = (subject.arguments, subject.named, reentrant, probe.case.seed)
            way = ways_of_running.answer_checkpointed
            seen = asked(probe, way, subject, subject.fresh(), *rest, doing="in a checkpoint")
            why = "as without the checkpoint"
            expect_answer(probe, subject, seen, found[1], f"in a checkpoint (use_reentrant={reentrant})", why)


@law(needs="|".join(CALLABLE), depends="gradient.is_finite", domain=Domain(fixed=(DOUBLE,)))
def transformed(probe: Probe) -> None:
    """torch.func.grad, jvp, vmap and functional_call of f, where torch can do them, give what autograd and a loop
    give.

    Why: per-sample gradients, Hessian products and ensembles are made so; what has its own rule for one of them is
    silently another function there.
    Breaks when: an autograd.Function's `jvp` or `vmap` is wrong, a weight is read past the parameter that was put in
    its place, or code looks at `is_functorch_wrapped_tensor` and takes another way.
    Remedy: leave out hand-written rules, so that torch says what it cannot do; `generate_vmap_rule = True`.
    """
    for subject in subjects(probe, CALLABLE):
        built = subject.fresh()
        rest, seed = subject.arguments, probe.case.seed
        owed = asked(probe, ways_of_running.owed_by_autograd, subject, built, rest, seed, doing="by autograd")
        other = asked(probe, ways_of_running.owed_by_autograd, subject, built, rest, seed + 1, doing="by autograd")
        noisy = any(not torch.equal(part, other[name]) for name, part in owed.items())
        for kind in TRANSFORMS:
            probe.script.carry(*_CARRIED)
            seen = probe.through(
                ways_of_running.answer_of_transform,
                kind,
                built,
                rest,
                seed,
                name="found",
                doing=f"{subject.name} by {kind}",
            )
            if noisy:
                seen = {name: part for name, part in seen.items() if name.startswith("output")}
            expect_answer(probe, subject, seen, owed, f"by {kind}", "as plain calls and autograd give")
