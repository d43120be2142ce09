"""The calls of a watched pass that choose: rankings, thresholds, largest ones, draws."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from sdtps_ref.properties.watching.graph import SAME_NUMBERS
from sdtps_ref.properties.watching.record import Call, Watched, tensors_in

Kind = str  # ranking, threshold, largest, sampling, or given: a decision that is passed in
CHOOSES: dict[str, str] = (
    dict.fromkeys(("topk", "sort", "argsort", "msort", "kthvalue"), "ranking")
    | dict.fromkeys(("gt", "ge", "lt", "le", "__gt__", "__ge__", "__lt__", "__le__", "greater", "less"), "threshold")
    | dict.fromkeys(("round", "sign", "heaviside", "greater_equal", "less_equal"), "threshold")
    | dict.fromkeys(("argmax", "argmin", "max", "min", "eq", "__eq__"), "largest")
    | dict.fromkeys(("bernoulli", "multinomial", "gumbel_softmax"), "sampling")
)
RANKS = ("topk", "sort", "argsort", "kthvalue")
INDICES = {"max", "min", "sort", "topk"}  # which return values too: they choose only where their indices are used
NEAR = 1e-5  # a straight-through sum in the wrong order is off by rounding alone
LEAVES = ("tolist", "numpy", "item", "__array__")  # what goes on in Python or numpy


def used(watched: Watched, call: Call) -> bool:
    return any(call.number in later.inputs for later in watched.calls[call.number + 1 :])


def hands_on(call: Call) -> bool:
    return call.name in SAME_NUMBERS


def choices(watched: Watched) -> Iterator[Call]:
    moved: list[bool] = []  # whether a result depends on anything that could be trained
    for call in watched.calls:
        moved.append(any(moved[n] for n in call.inputs) or any(map(trainable, call.outside)))
        if call.name not in CHOOSES or not moved[call.number]:
            continue
        operand = operand_of(call)
        if operand is None or not operand.is_floating_point() or operand.numel() < 2:
            continue
        if call.name in ("eq", "__eq__") and len(call.read) < 2:
            continue  # compared with a number: where padding is, and the like
        if call.name in ("max", "min") and ((len(call.args) < 2 and "dim" not in call.kwargs) or len(call.read) > 1):
            continue
        if call.name in INDICES and not _reads_indices(watched, call):
            continue
        if call.name == "gumbel_softmax" and not (call.kwargs.get("hard") or (len(call.args) > 2 and call.args[2])):
            continue
        yield call


def trainable(tensor: Tensor) -> bool:
    return tensor.requires_grad and tensor.is_floating_point()


def operand_of(call: Call) -> Tensor:
    """The scores among what a call was given: of two sides of a comparison, the larger."""
    floats = [tensor for tensor in call.read if tensor.is_floating_point()]
    return max(floats, key=lambda tensor: (tensor.numel(), tensor.requires_grad), default=None)  # type: ignore[return-value]


def is_time_first(call: Call, operand: Tensor) -> bool:
    """Whether tokens are ranked along the first of two axes, the longer one: along the shorter it is a mistake."""
    drawn = call.name == "gumbel_softmax"
    if (CHOOSES[call.name] != "ranking" and not drawn) or operand.dim() < 2 or (operand.dim() > 2 and not drawn):
        return False
    place = 4 if drawn else 2 if call.name in ("topk", "kthvalue") else 1
    dim = call.argument(place, "dim", -1)
    return type(dim) is int and dim in (0, -operand.dim()) and operand.shape[0] > operand.shape[1]


def _first_tensor(call: Call, like: Tensor) -> Tensor:
    return next((tensor for tensor in call.tensors if tensor.numel() == like.numel()), like)


def _reads_indices(watched: Watched, call: Call) -> bool:
    indices = {id(tensor) for tensor in call.tensors if not tensor.is_floating_point()}
    later = watched.calls[call.number + 1 :]
    if any(id(tensor) in indices for each in later for tensor in each.read):
        return True
    if any(id(tensor) in indices for tensor in tensors_in(watched.output)):
        return True
    values = {id(tensor) for tensor in call.tensors if tensor.is_floating_point()}
    read_values = any(id(tensor) in values for each in later for tensor in each.read)
    return call.name == "topk" and read_values


def few_values(tensor: Tensor) -> bool:
    """Made of a choice that was made before, as a mask and what is computed of it are."""
    return tensor.numel() > 3 and len(tensor.detach().flatten()[:4096].unique()) <= 3


def is_hard(tensor: Tensor) -> bool:
    value = tensor.detach()
    near = max(NEAR, 4 * torch.finfo(value.dtype).eps) if value.is_floating_point() else NEAR
    zero, one = value.abs() < near, (value - 1).abs() < near
    return bool((zero | one).all() and zero.any() and one.any())
