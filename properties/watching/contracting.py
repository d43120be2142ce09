"""Which tensors B N C are contracted over their last axis with another one, and whether channels lie there."""

from __future__ import annotations

from torch import Tensor

from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call

PLAIN = {"detach", "clone", "contiguous", "float", "double", "half", "bfloat16", "to", "type", "type_as", "dropout",
         "mul", "__mul__", "__rmul__", "div", "__truediv__", "neg", "masked_fill", "add", "__add__", "__radd__", "sub",
         "__sub__", "gelu", "relu", "tanh", "silu", "sigmoid", "leaky_relu", "elu", "normalize", "where",
         "addcmul"}  # fmt: skip
PICKS = {"gather", "take_along_dim", "index_select", "__getitem__", "narrow", "expand", "expand_as", "repeat", "cat",
         "repeat_interleave", "unsqueeze", "stack", "squeeze", "flatten", "view", "reshape", "split", "chunk",
         "select"}  # fmt: skip
OF_CHANNELS = {"linear", "layer_norm", "rms_norm", "embedding", "scaled_dot_product_attention"}
MATRICES = {"matmul", "__matmul__", "bmm"}
PRODUCTS = {"mul", "__mul__", "__rmul__"}
SWAPS = {"transpose", "swapaxes", "swapdims"}


def contracted_with(reading: Reading, call: Call) -> Call | None:
    """The call that contracts a result B N C over its last axis with another tensor; None where none does."""
    size = call.tensors[0].shape[-1]
    axes = {call.number: -1}  # by call, where the channels lie in its result, from the end
    for number in reading.graph.descendants(call.number):
        later = reading.watched.calls[number]
        own = [(i, t, axes[n]) for i, t in enumerate(later.read)
               if (n := reading.watched.watch.number_of(t)) is not None and n in axes]  # fmt: skip
        if not own or not later.tensors:
            continue
        place, tensor, axis = own[0]
        if len(later.read) > 1 and _contracts(reading, later, place, tensor, axis):
            return later
        if len(own) == 1 and (moved := _moved(later, tensor, axis)) is not None:
            made = later.tensors[0]
            if made.dim() >= -moved and made.shape[moved] == size:
                axes[number] = moved
    return None


def _moved(later: Call, tensor: Tensor, axis: int) -> int | None:
    """Where an axis of what a call reads lies in its result, from the end; None where it cannot be told."""
    made, dims = later.tensors[0], tensor.dim()
    if later.name in SWAPS and len(later.args) == 3:
        pair = [int(d) % dims - dims for d in later.args[1:]]
        return pair[1 - pair.index(axis)] if axis in pair else axis
    if later.name == "permute":
        order = later.args[1] if isinstance(later.args[1], (tuple, list)) else later.args[1:]
        return [int(d) % dims - dims for d in order].index(axis) - dims
    if later.name == "t" or (later.name == "__get__" and made.dim() == dims and made.stride() != tensor.stride()):
        if dims > 2 and made.shape[:-2] != tensor.shape[:-2]:
            return None
        return -3 - axis if axis in (-1, -2) else axis
    if later.name in PLAIN and made.shape[axis:] == tensor.shape[axis:]:
        return axis
    if later.name == "unsqueeze" and len(later.args) == 2:
        at = later.args[1] if later.args[1] < 0 else later.args[1] - made.dim()
        return axis if axis > at else axis - 1
    if later.name in PICKS and axis == -1:
        return -1
    return None


def _contracts(reading: Reading, later: Call, place: int, tensor: Tensor, axis: int) -> bool:
    """Whether a call sums over that axis of one of two tensors that it multiplies, both of them signed."""
    other = later.read[1 - place] if place < 2 and len(later.read) >= 2 else None
    if other is None or not other.is_floating_point() or not bool((other.detach() < 0).any()):
        return False  # weights of the entries, as of an attention
    if later.name in MATRICES:
        return axis == (-1 if place == 0 else -2 if tensor.dim() > 1 else -1)
    if later.name == "einsum":
        return _einsum_sums(later, place, tensor, axis)
    if later.name == "cdist":
        return axis == -1
    if later.name == "scaled_dot_product_attention":
        return axis == -1
    if later.name in PRODUCTS and axis == -1 and other.shape[-1] == tensor.shape[-1]:
        return any(
            _sums_last(user) for user in reading.watched.calls[later.number + 1 :] if later.number in user.inputs
        )
    return False


def _sums_last(call: Call) -> bool:
    given = call.argument(1, "dim")
    given = given[0] if isinstance(given, (tuple, list)) and len(given) == 1 else given
    return call.name == "sum" and type(given) is int and given in (-1, call.read[0].dim() - 1)


def _einsum_sums(later: Call, place: int, tensor: Tensor, axis: int) -> bool:
    equation = later.args[0] if later.args else None
    if not isinstance(equation, str) or "." in equation or "->" not in equation:
        return False
    given, _, made = equation.replace(" ", "").partition("->")
    parts = given.split(",")
    if len(parts) != 2 or len(parts[place]) != tensor.dim():
        return False
    letter = parts[place][axis]
    return letter not in made and letter in parts[1 - place]


def ends_in_channels(reading: Reading, tensor: Tensor) -> bool:
    """Whether the last axis is seen to be that of channels: a layer over channels made it, or reads the same."""
    size, seen = tensor.shape[-1], 0
    while tensor is not None and seen < 50:
        seen += 1
        if any(_reads_channels(call, tensor) for call in reading.watched.calls):
            return True
        number = reading.watched.watch.number_of(tensor)
        if number is None:
            return False
        call = reading.watched.calls[number]
        if call.name in OF_CHANNELS:
            return call.name != "embedding" or tensor.dim() == 3
        source = call.read[1] if call.name in MATRICES and len(call.read) == 2 else call.read[0] if call.read else None
        if call.name not in PLAIN | PICKS | MATRICES or source is None or source.dim() < 2 or source.shape[-1] != size:
            return False
        tensor = source
    return False


def _reads_channels(call: Call, tensor: Tensor) -> bool:
    return call.name in ("linear", "layer_norm", "rms_norm") and bool(call.read) and call.read[0] is tensor
