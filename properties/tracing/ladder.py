"""The gradient at every rung between the loss and what the score is made of, beside what is owed there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.tracing.step import Step
from sdtps_ref.properties.watching.ladder import jump_below
from sdtps_ref.properties.watching.record import Call
from sdtps_ref.properties.watching.sites import Site


@dataclass(frozen=True)
class Rung:
    """norm: of the gradient, the loss's scale divided out; None where none came. times: of what the closed form owes.

    The closed form is that of D in the place of a weight: what taking a token away does to the pooled tokens.
    """

    name: str
    norm: float | None
    times: float | None
    where: SourceLine | None

    @property
    def owed(self) -> float | None:
        """What the closed form owes."""
        if self.norm is None or not self.times or not math.isfinite(self.times) or not math.isfinite(self.norm):
            return None
        return self.norm / self.times

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        where = self.where.to_json() if self.where is not None else None
        return {"name": self.name, "norm": _plain(self.norm), "times_owed": _plain(self.times), "where": where}


def _plain(number: float | None) -> float | str | None:
    return number if number is None or math.isfinite(number) else str(number)


def climb(step: Step, site: Site) -> list[Rung]:
    """The rungs of a site, from the loss down. Those below D carry the gain at D."""
    flow, passes = step.flow(site), step.passes
    gain = passes.gain(step.reading, site) if site.decision is not None else None
    rungs = [_rung(step, "loss", step.loss, 1.0, None)]
    if step.outputs:
        rungs.append(_rung(step, "output", step.outputs[0], 1.0, None))
    root = step.reading.watch.calls[step.reading.root_call]
    if flow.pooled is not None and flow.pooled is not root:
        rungs.append(_of_call(step, "pooled tokens", flow.pooled, 1.0))
    if flow.weights is not None:
        rungs.append(_of_call(step, "weights", flow.weights, 1.0))
        logits = next((t for t in flow.weights.read if t.requires_grad), None)
        if logits is not None:
            rungs.append(_rung(step, "masked logits", logits, 1.0, _place_of(step, logits)))
    if site.decision is not None and site.decision_call is not None:
        rungs.append(_rung(step, "D", site.decision, gain, site.decision_call.place))
        if flow.soft is not None and flow.soft is not site.decision_call:
            rungs.append(_of_call(step, "soft mask", flow.soft, gain))
    line = site.score_call.place if site.score_call is not None else site.place
    rungs.append(_rung(step, "score", site.score, gain, line))
    upstream = [p for p in flow.upstream if p.requires_grad]
    own = [p for p in flow.own if p.requires_grad] or upstream
    shared = [p for p in upstream if not any(p is o for o in own)]
    if own:
        steep = jump_below(step.reading, site)
        times = gain if gain is None or steep is None else gain * steep[1]
        rungs.append(Rung("parameters of the score", _together(step, own), times, line))
    if shared:
        rungs.append(Rung("parameters it shares", _together(step, shared), None, None))
    rest = [p for p in step.module.parameters() if p.requires_grad and not any(p is o for o in (*own, *shared))]
    if rest:
        rungs.append(Rung("rest of the model", _together(step, rest), 1.0, None))
    return rungs


def _rung(step: Step, name: str, tensor: Tensor, times: float | None, where: SourceLine | None) -> Rung:
    size = step.capture.norm(tensor)
    return Rung(name, None if size is None else size / step.scale, times if size else None, where)


def _of_call(step: Step, name: str, call: Call, times: float | None) -> Rung:
    return _rung(step, name, call.tensors[0], times, call.place)


def _place_of(step: Step, tensor: Tensor) -> SourceLine | None:
    number = step.reading.watch.number_of(tensor)
    return step.reading.watch.calls[number].place if number is not None else None


def _together(step: Step, parameters: Sequence[Tensor]) -> float | None:
    sizes = [size for p in parameters if (size := step.capture.norm(p)) is not None]
    return sum(size**2 for size in sizes) ** 0.5 / step.scale if sizes else None
