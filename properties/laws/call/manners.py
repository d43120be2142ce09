"""What the user's own call does beside selecting: to what it is given, and with what it computes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, decided, passes_of
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call, tensors_in, watch


@law(needs="call", domain=CALL)
def inputs_untouched(probe: Probe) -> None:
    """The tensors that are passed in hold after the call what they held before it.

    Why: the caller goes on with them: a residual, a second branch, the features of the next epoch.
    Breaks when: something is computed in place: `x -= mean`, `x.mul_(mask)`, `x[:, idx] = 0`.
    Remedy: `x = x - mean`.
    """
    subject = passes_of(probe).subject
    args, kwargs = subject.make(0)
    given = [t.detach().clone() for t in tensors_in((list(args), dict(kwargs)))]
    copies = iter(given)
    own_args, own_kwargs = torch.utils._pytree.tree_map(
        lambda value: next(copies) if isinstance(value, Tensor) else value, (list(args), dict(kwargs))
    )
    before = [t.clone() for t in given]
    if not given:
        raise Unsupported("nothing is passed in")
    if subject.module is not None:
        subject.module.train(True)
    with torch.no_grad():
        watched = watch(lambda: subject.callable(*own_args, **own_kwargs), 0)
    for i, (now, was) in enumerate(zip(given, before, strict=True)):
        if not torch.equal(now, was) and not was.isnan().any():
            call = _writer(watched.calls, now)
            raise Violation(
                f"the call writes into what is passed in: tensor {i} of its arguments holds other values afterwards",
                where=call.place if call else None,
                effect="what the caller computes from it next is another thing, and no error says so",
                fix="compute it out of place: x = x - mean, in place of x -= mean",
            )


def _writer(calls: list[Call], tensor: Tensor) -> Call | None:
    """The first call that writes into the tensor's memory."""
    for call in calls:
        in_place = call.name.endswith("_") and not call.name.startswith("__")
        if in_place or call.name in ("__setitem__", "__iadd__", "__isub__", "__imul__", "__itruediv__"):
            target = call.read[0] if call.read else None
            if target is not None and target.untyped_storage().data_ptr() == tensor.untyped_storage().data_ptr():
                return call
    return None


@law(needs="call", level="SHOULD", depends="call.gradient_reaches_score", domain=CALL)
def what_is_scored_is_used(probe: Probe) -> None:
    """What parameters compute has a part in the output or in a choice; nothing is computed for nothing.

    Why: a second modality's score that nobody reads means that another one's decision stands in its place.
    Breaks when: a decision is made once and used for all modalities, a name is assigned twice, or the wrong variable
    is passed on.
    Remedy: one score, one decision and one pooling for each, by name.
    """
    passes = passes_of(probe)
    reading, sites = decided(probe)
    last = [n for n in map(reading.watched.watch.number_of, tensors_in(reading.watched.output)) if n is not None]
    ends = [*last, *(site.choice.number for site in reading.sites)]
    unused = [
        call
        for call in reading.watched.calls
        if any(isinstance(t, nn.Parameter) and t.requires_grad for t in call.outside)
        and not any(reading.graph.depends(end, call.number) for end in ends)
    ]
    used = {id(t) for call in reading.watched.calls if call not in unused for t in call.outside}
    lost = [t for call in unused for t in call.outside if isinstance(t, nn.Parameter) and id(t) not in used]
    # Through a scripted function no data flow is seen, but a gradient comes through it.
    own = passes.names([t for t in {id(t): t for t in lost}.values() if reading.gradient(t) is None])
    if not own or not last:
        return
    shown = ", ".join(own[:2]) + (f" and {len(own) - 2} more" if len(own) > 2 else "")
    end = _end_of(reading, unused[-1])
    raise Violation(
        f"what is computed with {shown} is used for nothing: it has no part in the output, nor in any choice",
        where=end.place_beside(*(site.decision_call for site in sites)),  # type: ignore[arg-type]
        effect="these parameters are never trained, and something else stands in the place of what they compute",
        fix="pass on what is computed here: each modality its own score and decision",
    )


def _end_of(reading: Reading, call: Call) -> Call:
    """The last call that is made of it."""
    further = reading.graph.descendants(call.number)
    return reading.watched.calls[further[-1]] if further else call
