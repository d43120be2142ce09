"""Parameters that serve the score alone and are never moved."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.laws.call.gradient import NEVER
from sdtps_ref.properties.tracing.cause import Cause
from sdtps_ref.properties.tracing.optimizer_watch import OptimizerWatch
from sdtps_ref.properties.tracing.step import Step


@dataclass(frozen=True)
class Serving:
    """The parameters that serve one score alone, their names, and the line of the score."""

    parameters: list[Tensor]
    names: list[str]
    line: SourceLine | None


def serving(step: Step) -> list[Serving]:
    """Of every site. To be asked before the step is let go."""
    found = []
    for site in step.sites:
        own = step.flow(site).own
        line = site.score_call.place if site.score_call is not None else site.place
        found.append(Serving(own, step.passes.names(own), line))
    return found


def find(servings: list[Serving], optimizers: OptimizerWatch) -> list[Cause]:
    """Frozen, in no optimizer, or left where they are by its step."""
    found = []
    for each in servings:
        own = each.parameters
        frozen = [p for p in own if not p.requires_grad]
        if own and len(frozen) == len(own):
            fix = "requires_grad_(True) on them"
            found.append(_cause("frozen", each, "are frozen: requires_grad is False", fix))
            continue
        live = [p for p in own if p.requires_grad]
        if not live or not optimizers.known:
            continue
        strangers = [p for p in live if id(p) not in optimizers.groups]
        if len(strangers) == len(live):
            fix = "give them to the optimizer: model.parameters(), after the module is complete"
            found.append(_cause("not_in_optimizer", each, "are in no optimizer", fix))
        elif optimizers.stepped and optimizers.others_moved and not any(optimizers.moved(p) for p in live):
            rates = sorted({optimizers.groups[id(p)] for p in live if id(p) in optimizers.groups})
            told = f"did not move in the step (learning rate {', '.join(f'{r:g}' for r in rates)})"
            fix = "look at their learning rate and at what clips or skips their gradient"
            found.append(_cause("not_moved", each, told, fix))
    return found


def _cause(kind: str, serving: Serving, what: str, fix: str) -> Cause:
    names = serving.names
    shown = ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
    message = f"the parameters that serve the score alone {what}: {shown}"
    return Cause(kind, message, serving.line, NEVER, fix)
