"""The line that keeps something from one call to the next: what a second call reads that the first one made."""

from __future__ import annotations

from torch import Tensor

from sdtps_ref.properties.engine.causes.lines.selecting import Parts
from sdtps_ref.properties.watching.record import IN_PLACE, Call, Watched, watch
from sdtps_ref.properties.watching.subject import Subject


def remembering(subject: Subject, training: bool) -> Parts:
    """`written`: a call that writes into what was there before; `kept`: one whose result a later call reads."""
    run = subject.run(0, training=training)
    first, second = watch(run, 0), watch(run, 0)
    for call in second.calls:
        if _writes(call) and any(tensor is call.args[0] for tensor in call.outside):
            yield "written", call
    yield from (("kept", call) for call in _kept(first, second))


def _writes(call: Call) -> bool:
    name = call.name
    return (
        bool(call.args)
        and isinstance(call.args[0], Tensor)
        and (name in IN_PLACE or (name.endswith("_") and not name.startswith("__") and name != "requires_grad_"))
    )


def _kept(first: Watched, second: Watched) -> list[Call]:
    """Calls of the first pass, made of tensors, whose very results the second one is given."""
    found: dict[int, Call] = {}
    for call in second.calls:
        for tensor in call.outside:
            number = first.watch.number_of(tensor)
            if number is not None and (first.calls[number].inputs or first.calls[number].outside):
                found[number] = first.calls[number]
    return list(found.values())
