"""One backward pass of the user's own, from its loss down to the score: prepared before it, read after it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from sdtps_ref.properties.tracing.capture import Capture
from sdtps_ref.properties.tracing.flow import Flow
from sdtps_ref.properties.tracing.step_reading import StepPasses, StepReading
from sdtps_ref.properties.tracing.step_watch import StepWatch
from sdtps_ref.properties.watching.record import Call, Watched
from sdtps_ref.properties.watching.sites import Site, find_sites
from sdtps_ref.properties.watching.soft_mask import SoftMask, soft_mask
from sdtps_ref.properties.watching.weighing import leading_back

FOLLOWED = 80  # calls on each side of the decision whose gradients are followed


@dataclass(eq=False)
class Step:
    """A step whose selection sites are known. scale: of the loss, as a loss scaler or the user multiplied it."""

    module: nn.Module
    reading: StepReading
    capture: Capture
    passes: StepPasses
    scale: float
    loss: Tensor
    outputs: list[Tensor] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)  # laws that stumbled over this step, and how

    @property
    def sites(self) -> list[Site]:
        """Its selection sites."""
        return self.reading.sites

    def flow(self, site: Site) -> Flow:
        """The way from a site's D to the loss."""
        return self.reading.flows[id(site)]


def prepare(
    module: nn.Module,
    watch: StepWatch,
    root: Tensor,
    outputs: list[Tensor],
    within: list[tuple[int, int]],
    *,
    outer: float = 1.0,
    jacobian: bool = True,
    follow: int = FOLLOWED,
) -> Step | None:
    """Find the sites behind a loss, read their soft masks, and follow gradients; None where there are no sites.

    within: ranges of calls that the model made; empty where its forward was not called. outer: the scale, where it is
    known from elsewhere. jacobian: read D's own, which takes a few vector products. follow: how many calls on each
    side of D, at most, have their gradients followed.
    """
    number = watch.number_of(root)
    if number is None:
        number = len(watch.calls) - 1
    if number < 0:
        return None
    watched = Watched(watch, [root])
    capture = Capture()
    with keep_buffers(module):
        found = [site for site in find_sites(watched) if _of_the_model(site, within)]
        reading = StepReading(watch, found, root, capture, held_by(module))
        found = [site for site in found if _leads_to(reading, site, number)]
        reading.sites = found
        if not found:
            return None
        for site in found:
            leading_back(reading, site)
        masks = {id(site): _mask(site) for site in found if site.decision is not None} if jacobian else {}
    loss, scale = unscaled(watch, root)
    step = Step(module, reading, capture, StepPasses(module, reading, masks), scale * outer, loss, outputs)
    _follow(step, follow)
    return step


def _mask(site: Site) -> SoftMask:
    try:
        return soft_mask(site)
    except Exception:  # of a D of an unusual shape, nothing is read
        return SoftMask("other")


def _of_the_model(site: Site, within: list[tuple[int, int]]) -> bool:
    return not within or any(first <= site.choice.number < last for first, last in within)


def _leads_to(reading: StepReading, site: Site, root: int) -> bool:
    graph = reading.graph
    ends = [site.choice.number, *(c.number for c in site.further)]
    if site.decision_call is not None:
        ends.append(site.decision_call.number)
    return any(graph.depends(root, n) for n in ends) or _left_torch(reading, site)


def _left_torch(reading: StepReading, site: Site) -> bool:
    """Whether the choice went through Python numbers, where no data flow can be followed."""
    numbers = reading.graph.descendants(site.choice.number)
    return any(reading.watch.calls[n].name in ("tolist", "item", "numpy", "__array__") for n in numbers)


def _follow(step: Step, most: int) -> None:
    """Hook every tensor whose gradient is asked for later."""
    capture, calls, graph = step.capture, step.reading.watch.calls, step.reading.graph
    capture.watch([step.reading.root, step.loss, *step.outputs])
    for site in step.sites:
        flow = step.flow(site)
        capture.watch(t for t in (site.score, site.ranked, site.decision) if t is not None)
        capture.watch(t for t, _ in leading_back(step.reading, site))
        near: list[Call] = [c for c in (flow.pooled, flow.weights, flow.mask, flow.soft) if c is not None]
        near += [calls[n] for n in flow.after[:most]]
        if site.decision_call is not None:
            near += [site.decision_call, *(calls[n] for n in graph.ancestors(site.decision_call.number)[:most])]
        if site.score_call is not None:
            near += [site.score_call, *(calls[n] for n in graph.ancestors(site.score_call.number)[:most])]
        near += [calls[n] for n in graph.descendants(site.choice.number)[:most]]
        for call in near:
            capture.watch(t for t in (*call.tensors, *call.read) if t.is_floating_point() and not _is_parameter(t))
    capture.watch((p for p in step.module.parameters() if p.requires_grad), values=False)


def _is_parameter(tensor: Tensor) -> bool:
    return isinstance(tensor, nn.Parameter)


def held_by(module: nn.Module) -> frozenset[int]:
    """Ids of the tensors that a module and its parts keep: buffers, parameters, and plain attributes."""
    own = [*module.buffers(), *module.parameters()]
    own += [value for part in module.modules() for value in vars(part).values() if isinstance(value, Tensor)]
    return frozenset(map(id, own))


def unscaled(watch: StepWatch, root: Tensor) -> tuple[Tensor, float]:
    """The loss behind a multiplied one, and by how much. A division, as of accumulated steps, stays."""
    scale = 1.0
    while (number := watch.number_of(root)) is not None:
        call = watch.calls[number]
        if call.name not in ("mul", "__mul__", "__rmul__", "multiply") or len(call.args) < 2:
            break
        behind = [a for a in call.args if isinstance(a, Tensor) and a.requires_grad]
        factor = [a for a in call.args if not (isinstance(a, Tensor) and a.requires_grad)]
        if len(behind) != 1 or len(factor) != 1 or (isinstance(factor[0], Tensor) and factor[0].numel() != 1):
            break
        times = float(factor[0])
        if times < 2:
            break
        root, scale = behind[0], scale * times
    return root, scale


@contextlib.contextmanager
def keep_buffers(module: nn.Module) -> Iterator[None]:
    """Put back what buffers held: vector products through a checkpoint run its region again, batch statistics too."""
    before = [(buffer, buffer.detach().clone()) for buffer in module.buffers()]
    try:
        yield
    finally:
        for buffer, value in before:
            if not torch.equal(buffer, value):
                with torch.no_grad(), torch.autograd._unsafe_preserve_version_counter(buffer):
                    buffer.copy_(value)
