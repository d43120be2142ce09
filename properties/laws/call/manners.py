"""What the user's own call does beside selecting: to what it is given, and with what it computes."""

from __future__ import annotations

import linecache
import re

import torch
from torch import Tensor, nn

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.laws.call.reading_of import CALL, decided, passes_of
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call, tensors_in, watch

SEEDS = re.compile(r"\b(torch\.)?(random\.)?(manual_seed|set_rng_state|seed_everything)\(")
NEAR = 20  # lines from a call that was made


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


@law(needs="call", domain=CALL)
def generator_goes_on(probe: Probe) -> None:
    """Torch's global generator is where it was after the call, or further on, and not where a seed puts it.

    Why: a seed that is set in the forward pass gives the same noise in every step, so that nothing is explored, and
    the same dropout, shuffling and initialisation to everything that comes after it.
    Breaks when: `torch.manual_seed(seed)` stands in forward, so that results can be reproduced.
    Remedy: seed once where training starts; for draws of its own, `torch.Generator().manual_seed(seed)`.
    """
    subject = passes_of(probe).subject
    run, after = subject.run(0), []
    for seed in (11, 12):
        watched = watch(run, seed)
        after.append(torch.random.get_rng_state())
    if torch.equal(*after):
        raise Violation(
            "the call seeds torch's global generator: whatever the seed before it, the numbers after it are the same",
            where=_line_that_seeds(watched.calls),
            effect="the noise is the same in every step, and so is whatever else is drawn after the call",
            fix="seed once where training starts, and not in the forward pass",
        )


def _line_that_seeds(calls: list[Call]) -> SourceLine | None:
    """The line that sets a seed, near one that calls torch."""
    called: dict[str, list[int]] = {}
    for call in calls:
        if call.place is not None:
            called.setdefault(call.place.file, []).append(call.place.line)
    for file, lines in called.items():
        for number, line in enumerate(linecache.getlines(file), 1):
            if SEEDS.search(line.partition("#")[0]) and any(abs(number - other) < NEAR for other in lines):
                return SourceLine(file, number)
    return None


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
