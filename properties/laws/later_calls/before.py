"""What came before a call, in the same process or in the same memory, is not in its answer."""

import torch
from torch import Tensor

from sdtps_ref.properties.kit.later_calls import answers, disturbances
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.later_calls.asking import BOTH, METHODS, asked, expect_answer, first_answer, subjects

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
                disturbances.answer_after,
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
            asked(probe, disturbances.disturb, subject, built, *rest, kind, doing=kind)
        seen = asked(probe, answers.answer, subject, built, *rest, seed, doing="called again")
        if _equal(seen, owed):
            continue
        for kind in DISTURBANCES:  # which of them was it?
            fresh = subject.fresh()
            asked(probe, answers.answer, subject, fresh, *rest, seed, doing="called for the first time")
            one = asked(
                probe, disturbances.answer_after, subject, fresh, *rest, kind, seed, doing=f"called after {kind}"
            )
            why = "as it answered before, from the same input, seed and weights"
            expect_answer(probe, subject, one, owed, f"after {kind}", why)
        why = "as it answered first, before the calls between"
        expect_answer(probe, subject, seen, owed, "called again", why)


def _equal(seen: dict[str, Tensor], owed: dict[str, Tensor]) -> bool:
    return all(name in seen and torch.equal(seen[name], part) for name, part in owed.items())


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
        way = disturbances.answer_in_the_same_memory
        seen = asked(probe, way, subject, fresh, *rest, probe.case.seed, doing="called with a buffer filled anew")
        why = "as for these values in memory of their own: something was remembered by address"
        expect_answer(probe, subject, seen, found[1], "in memory that held other values", why)
