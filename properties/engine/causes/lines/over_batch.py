"""A statistic over the batch on the way to a score: the line that takes it."""

from __future__ import annotations

from sdtps_ref.properties.engine.causes.lines.flow import Flow
from sdtps_ref.properties.engine.causes.lines.selecting import Parts
from sdtps_ref.properties.watching.record import Call

SPREADS = ("min", "max", "amin", "amax", "aminmax", "std", "var", "norm", "std_mean", "var_mean")
MEANS = ("mean", "sum", "median")


def over_batch(flow: Flow) -> Parts:
    """Of each choice, statistics of floating tensors B ... that have no B left: of their spread, and means."""
    for site in flow.reading.sites:
        batch = site.ranked.shape[0]
        for call in flow.behind(site.choice):
            if call.name in (*SPREADS, *MEANS) and _loses(call, batch):
                yield "over batch" if call.name in SPREADS else "mean over batch", call


def _loses(call: Call, batch: int) -> bool:
    if len(call.read) != 1 or not call.tensors:
        return False
    given, made = call.read[0], call.tensors[0]
    trained = given.is_floating_point() and given.requires_grad
    return trained and given.dim() >= 2 and given.shape[0] == batch > 1 and (made.dim() == 0 or made.shape[0] != batch)
