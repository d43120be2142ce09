"""Softmaxes that are written by hand in the user's own call."""

from __future__ import annotations

import torch

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, passes_of
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call, watch
from sdtps_ref.properties.watching.terms_of_loss import QUOTIENTS

GROWN = 64.0  # times what the parameters are at initialisation: scores that this leaves small are bounded


@law(needs="call", level="SHOULD", domain=CALL)
def exponentials_do_not_overflow(probe: Probe) -> None:
    """A softmax that is written as exp(x) / exp(x).sum() has the maximum taken off before.

    Why: exp overflows at 89 in float32 and at 11 in float16, and infinity divided by infinity is NaN. At initialisation
    scores are small and all is well; the model that has become sure of its choice ends in NaN.
    Breaks when: `e = torch.exp(score / tau)` and `e / e.sum(dim=-1, keepdim=True)` are of scores that nothing bounds.
    Remedy: `torch.softmax(score / tau, dim=-1)`, which takes the maximum off.
    """
    passes = passes_of(probe)
    reading = passes.reading()
    written = [call for call in reading.watched.calls if call.name == "exp" and _is_normalised(reading, call)]
    if not written:
        raise Unsupported("no softmax is written by hand")
    grown = passes.subject.copy()
    if grown is None or grown.module is None:
        raise Unsupported("the module cannot be copied")
    with torch.no_grad():
        for parameter in grown.module.parameters():
            parameter.mul_(GROWN)
    later = watch(grown.run(0), 0).calls
    for call in written:
        if call.number >= len(later) or later[call.number].name != "exp":
            continue
        given, result = later[call.number].read[0].detach(), later[call.number].tensors[0].detach()
        if torch.isfinite(given).all() and not torch.isfinite(result).all():
            raise Violation(
                "a softmax is written by hand, and its exp overflows once scores grow: it is given "
                f"{float(call.read[0].detach().max()):.3g} now and {float(given.max()):.3g} with weights "
                f"{GROWN:.0f} times as large",
                where=call.place,
                effect="once the model is sure of its choice, weights and gradients are NaN",
                fix="torch.softmax(score / tau, dim=-1), which takes the maximum off",
            )


def _is_normalised(reading: Reading, call: Call) -> bool:
    """Whether its results are divided by their own sum."""
    if call.tensors[0].dim() < 2:
        return False
    calls, graph = reading.watched.calls, reading.graph
    for number in graph.descendants(call.number):
        if calls[number].name not in QUOTIENTS or len(calls[number].read) != 2:
            continue
        part, whole = (reading.watched.watch.number_of(t) for t in calls[number].read)
        if part is None or whole is None or not graph.depends(part, call.number):
            continue
        sums = [n for n in (*graph.ancestors(whole), whole) if calls[n].name == "sum" and graph.depends(n, part)]
        if sums and calls[number].read[0].shape == call.tensors[0].shape:
            return True
    return False
