"""Weights of what was kept that are brought to a sum of one, and the scores that they are made of."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from sdtps_ref.properties.kit.values import draw
from sdtps_ref.properties.watching.forms import PRODUCTS
from sdtps_ref.properties.watching.graph import SAME_NUMBERS
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call
from sdtps_ref.properties.watching.sites import Site

SOFTMAX = ("softmax", "log_softmax", "softmin")
QUOTIENTS = ("div", "__truediv__", "true_divide", "div_", "__itruediv__")
PICKS = ("gather", "take_along_dim", "index_select", "__getitem__", "select", "narrow", "scatter", "scatter_",
         "masked_fill", "where", "masked_fill_", "topk", "max", "sort", "__setitem__", *PRODUCTS)  # fmt: skip
EACH = (*SAME_NUMBERS, *PICKS, *QUOTIENTS, "exp", "sigmoid", "softplus", "add", "__add__", "__radd__", "clamp",
        "clamp_min", "sqrt", "pow", "stack", "cat")  # fmt: skip
AS_ONE = 1e-3  # so near to one, where a small number is added below the line
OUT = -1e4  # a logit as low as this has no weight


def normalised(reading: Reading, call: Call) -> Tensor | None:
    """What a call brings to a sum of one along an axis where one entry alone has a part; None where it does not."""
    if not call.tensors or not call.read or not call.tensors[0].requires_grad or not call.read[0].requires_grad:
        return None
    given, made = call.read[0], call.tensors[0].detach()
    if not given.is_floating_point() or given.dim() < 2 or given.shape != made.shape or made.numel() < 2:
        return None
    if call.name in SOFTMAX:
        axis = _axis(call, given)
        if axis is None:
            return None
        alone = given.shape[axis] == 1 or bool(((given.detach() > OUT).sum(axis) == 1).all())
        return given if alone else None
    if call.name == "normalize":
        axis = call.kwargs.get("dim", 1)
        alone = call.kwargs.get("p") == 1 and type(axis) is int and given.shape[axis] == 1
        return given if alone and bool((made - 1).abs().max() < AS_ONE) else None
    if call.name not in QUOTIENTS or len(call.read) != 2 or call.args[0] is not given:
        return None
    total = call.read[1]
    for axis in _summed_axes(reading, given, total):
        ones = (made - 1).abs() < AS_ONE
        if bool((ones | (made == 0)).all()) and bool((ones.sum(axis) == 1).all()):
            return given
    return None


def _axis(call: Call, given: Tensor) -> int | None:
    axis = call.argument(1, "dim")
    return axis if type(axis) is int and -given.dim() <= axis < given.dim() else None


def _summed_axes(reading: Reading, given: Tensor, total: Tensor) -> Iterator[int]:
    """The axes over which what it is divided by sums up the very numbers that are divided."""
    number, own = reading.watched.watch.number_of(total), reading.watched.watch.number_of(given)
    if number is None or own is None:
        return
    while number is not None and number != own:
        call = reading.watched.calls[number]
        if call.name == "sum" and call.read and reading.watched.watch.number_of(call.read[0]) is not None:
            summed = reading.watched.watch.number_of(call.read[0])
            same = reading.graph.origin(summed) == reading.graph.origin(own)  # type: ignore[arg-type]
            axis = call.argument(1, "dim")
            axis = axis[0] if isinstance(axis, (tuple, list)) and len(axis) == 1 else axis
            if same and type(axis) is int:
                yield axis
            return
        if call.name not in (*SAME_NUMBERS, "add", "__add__", "__radd__", "clamp", "clamp_min", "add_", "maximum"):
            return
        number = call.inputs[0] if call.inputs else None


def picked_by(reading: Reading, site: Site, tensor: Tensor) -> bool:
    """Whether these are scores that the choice picked: its values, or what its indices pick of the score alone."""
    number = reading.watched.watch.number_of(tensor)
    chosen = {site.choice.number, *(call.number for call in site.further)}
    picked = False
    for _ in range(50):
        if number is None:
            return False
        call = reading.watched.calls[number]
        if number in chosen:
            return True
        if picked and (call.number in _scores(reading, site)):
            return True
        if call.name not in EACH:
            return False
        others = [n for n in call.inputs if any(reading.graph.depends(n, c) for c in chosen)]
        picked = picked or (call.name in PICKS and bool(others))
        number = _onwards(reading, call)
    return False


def _onwards(reading: Reading, call: Call) -> int | None:
    """The call that made the first numbers with a gradient among what it reads."""
    for tensor in call.read:
        made = reading.watched.watch.number_of(tensor)
        if tensor.requires_grad and tensor.is_floating_point() and made is not None and made < call.number:
            return made
    return max((n for n in call.inputs if any(t.requires_grad for t in reading.watched.calls[n].tensors)), default=None)


def _scores(reading: Reading, site: Site) -> set[int]:
    return {n for t in scores_of(reading, site) if (n := reading.watched.watch.number_of(t)) is not None}


def scores_of(reading: Reading, site: Site) -> list[Tensor]:
    """The score and what it is made of entry by entry: logits before their softmax, without the noise."""
    found = [t for t in (site.score, site.ranked) if t.requires_grad]
    number = reading.watched.watch.number_of(site.ranked)
    for _ in range(50):
        if number is None:
            break
        call = reading.watched.calls[number]
        found += [t for t in call.tensors if t.requires_grad and t.numel() == site.ranked.numel()]
        if call.name not in (*EACH, *SOFTMAX):
            break
        number = _onwards(reading, call)
    return found


def task_of(reading: Reading, weights: Call) -> list[Tensor]:
    """What is returned of the weighted: outputs, and of a sum of losses the terms, that the weights have part in."""
    found: list[Tensor] = []
    waiting = [t for t in reading.watched.outputs if t.requires_grad]
    while waiting:
        tensor = waiting.pop()
        number = reading.watched.watch.number_of(tensor)
        if number is None or not reading.graph.depends(number, weights.number):
            continue
        if reading.graph.origin(number) == weights.number:
            continue  # the weights themselves
        call = reading.watched.calls[number]
        terms = [t for t in call.read if t.requires_grad and t.dim() == 0]
        sums = ("add", "__add__", "__radd__", "sub", "__sub__", "__iadd__", "stack", "sum")
        if tensor.dim() == 0 and terms and (call.name in sums or (call.name in PRODUCTS and len(call.read) == 1)):
            waiting += terms
        else:
            found.append(tensor)
    return found


def slopes(outputs: list[Tensor], sources: list[Tensor]) -> list[float]:
    """How large the gradient of a random combination of the outputs is at each source."""
    if not outputs:
        return [0.0] * len(sources)
    ways = [draw("normal", tuple(t.shape), 31).to(t) if t.dim() else torch.ones_like(t) for t in outputs]
    found = torch.autograd.grad(outputs, sources, ways, retain_graph=True, allow_unused=True)
    return [0.0 if slope is None else float(slope.detach().double().norm()) for slope in found]
