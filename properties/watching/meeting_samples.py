"""Where D meets the rows of other samples than its own: read off derivatives, whatever the axes are called."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from sdtps_ref.properties.kit.values import draw
from sdtps_ref.properties.watching.passes import Passes
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call, Watched, watch
from sdtps_ref.properties.watching.sites import Site

LEAK = 1e-3  # of what the own sample gets
SAME = 1e-6  # rounding


def leak_of(outputs: list[Tensor], decision: Tensor) -> tuple[float, float]:
    """How large the gradient of the first sample's outputs is at its own D, and at the other samples'."""
    slope = _slopes(outputs, [decision], _of_the_first(outputs))[0]
    return (0.0, 0.0) if slope is None else (float(slope[0].norm()), float(slope[1:].norm()))


def crossing(reading: Reading, site: Site, outputs: list[Tensor]) -> tuple[Call, Tensor, Tensor] | None:
    """The call that brings D together with other samples' rows, D as that call reads it, and what it meets there.

    It is one that reads D, or what is made of D alone, beside something that D has no part in. Both have an axis of
    samples, told by what the first sample's output and D depend on there.
    """
    assert site.decision is not None and site.decision_call is not None
    decision, made = site.decision, reading.watched.watch.number_of
    for number in reading.graph.descendants(site.decision_call.number):
        call = reading.watched.calls[number]
        if len(call.tensors) != 1 or not call.tensors[0].requires_grad:
            continue
        result = call.tensors[0]  # in place, it is among what was read, and was something else then
        read = [t for t in call.read if t is not result]
        of_it = [t for t in read if t is decision or _depends(reading, made(t), site.decision_call.number)]
        others = [t for t in call.read if not any(t is own for own in of_it) and t.numel() > 1]
        met = [t for t in of_it if t.requires_grad]
        if len(of_it) != 1 or len(met) != 1 or not others:
            continue
        asked = _slopes(outputs, [result], _of_the_first(outputs))[0]
        axis = _axis_of_samples(met[0], decision)
        if asked is None or axis is None or not _has_one_row(asked, len(decision)):
            continue
        slope = _slopes([result], met, [asked])[0]
        if slope is None:
            continue
        others_part = float(slope.narrow(axis, 1, len(decision) - 1).norm())
        if others_part > LEAK * float(slope.norm()):
            return call, met[0], max(others, key=Tensor.numel)
    return None


def keeps_apart(passes: Passes, reading: Reading, outputs: list[Tensor]) -> bool:
    """Whether the first sample's outputs stay as they are where the inputs of all others are changed."""
    if any(call.name == "batch_norm" and call.argument(5, "training", False) for call in reading.watched.calls):
        return False  # of samples that meet there, a weight that starts near zero shows next to nothing
    count = len(outputs[0])
    places = [i for i, t in enumerate(reading.watched.outputs) if any(t is each for each in outputs)]
    again = _with_others_changed(passes, count)
    if again is None or len(again.outputs) != len(reading.watched.outputs):
        return False
    for i in places:
        one, other = reading.watched.outputs[i].detach(), again.outputs[i].detach()
        if one.shape != other.shape or not torch.allclose(one[0], other[0], rtol=SAME, atol=0.1 * SAME):
            return False
    return any(not torch.equal(reading.watched.outputs[i].detach()[1:], again.outputs[i].detach()[1:]) for i in places)


def _with_others_changed(passes: Passes, count: int) -> Watched | None:
    """The same pass, the inputs of all samples but the first in another order and with their channels turned."""
    args, kwargs = passes.subject.inputs(0)

    def changed(value: Any) -> Any:
        if not isinstance(value, Tensor) or value.dim() == 0 or len(value) != count:
            return value
        rest = value.detach()[1:].flip(0)
        if value.is_floating_point() and value.dim() > 1:
            rest = rest.flip(-1)
        return torch.cat([value.detach()[:1], rest])

    if not any(isinstance(t, Tensor) and t.dim() and len(t) == count for t in tree_leaves((args, kwargs))):
        return None
    made = tree_map(changed, args), tree_map(changed, kwargs)
    try:
        return watch(replace(passes.subject, make=lambda seed: made).run(0, training=True), 0)
    except Exception:  # the code may not bear what was changed
        return None


def _of_the_first(outputs: list[Tensor]) -> list[Tensor]:
    """Random cotangents for the first sample alone."""
    cotangents = [draw("normal", tuple(t.shape), 31).to(t) for t in outputs]
    for cotangent in cotangents:
        cotangent[1:] = 0
    return cotangents


def _axis_of_samples(tensor: Tensor, decision: Tensor) -> int | None:
    """The axis along which a tensor's first entry is made of the first sample's D alone, and the others of others'."""
    for axis, size in enumerate(tensor.shape):
        if size != len(decision):
            continue
        cotangent = draw("normal", tuple(tensor.shape), 37).to(tensor)
        cotangent.narrow(axis, 1, size - 1).zero_()
        slope = cotangent if tensor is decision else _slopes([tensor], [decision], [cotangent])[0]
        if slope is not None and bool(slope[0].any()) and not bool(slope[1:].any()):
            return axis
    return None


def _has_one_row(slope: Tensor, count: int) -> bool:
    """Whether it is other than zero at the first entry of an axis of samples alone."""
    return any(
        size == count and bool(slope.select(axis, 0).any()) and not bool(slope.narrow(axis, 1, size - 1).any())
        for axis, size in enumerate(slope.shape)
    )


def _depends(reading: Reading, later: int | None, earlier: int) -> bool:
    return later is not None and reading.graph.depends(later, earlier)


def _slopes(results: list[Tensor], sources: list[Tensor], cotangents: list[Tensor]) -> list[Tensor | None]:
    return list(torch.autograd.grad(results, sources, cotangents, retain_graph=True, allow_unused=True))
