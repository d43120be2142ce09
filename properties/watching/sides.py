"""Where the places of a map lie along an axis of tokens: row after row of so many, through what a pass does to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from math import prod
from typing import Any

from torch import Tensor, nn

from sdtps_ref.properties.watching.forms import PRODUCTS, SUMS
from sdtps_ref.properties.watching.graph import SAME_NUMBERS
from sdtps_ref.properties.watching.laid_out import Axes, Laid, cut, groups, moved, read_off, reduced, split
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call

RESHAPES = ("view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as", "reshape_as")
MAPS = ("conv2d", "conv_transpose2d", "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d",
        "interpolate", "upsample", "grid_sample")  # fmt: skip
# What keeps every place where it is.
POINTWISE = {
    *(SAME_NUMBERS - {"transpose", "permute", "view", "reshape", "flatten", "squeeze", "unsqueeze", "__get__"}),
    *PRODUCTS, *SUMS, "div", "__truediv__", "__rtruediv__", "div_", "__itruediv__", "pow", "__pow__", "square", "sqrt",
    "rsqrt", "exp", "log", "log1p", "neg", "__neg__", "abs", "clamp", "clamp_", "clamp_min", "relu", "gelu", "silu",
    "elu", "leaky_relu", "softplus", "sigmoid", "tanh", "logsigmoid", "softmax", "log_softmax", "dropout", "layer_norm",
    "rms_norm", "normalize", "batch_norm", "group_norm", "where", "masked_fill", "masked_fill_",
    "zeros_like", "ones_like", "gt", "ge", "lt", "le", "__gt__", "__ge__", "__lt__", "__le__", "__invert__",
    "logical_not", "addcmul", "lerp", "maximum", "minimum", "nan_to_num", "round",
}  # fmt: skip
RANKED = ("topk", "sort", "argsort", "argmax", "max", "multinomial")
REDUCES = ("sum", "mean", "amax", "amin", "norm", "logsumexp", "cosine_similarity", "std", "var")


@dataclass(frozen=True)
class Turned:
    """A map of a x b whose tokens are taken as b x a. asked: the call that does so; mixed: what mixes neighbours."""

    sizes: tuple[int, ...]
    asked: Call
    mixed: Call


class Sides:
    """Follows the axes of maps through one pass."""

    def __init__(self, reading: Reading):
        self.reading = reading
        self.known: dict[int, Axes] = {}
        self.were: dict[int, tuple[int, ...]] = {}  # by call that asked, how the places really lie
        self.turned: list[Turned] = []
        for call in reading.watched.calls:
            self._follow(call)

    def axes(self, tensor: Any) -> Axes:
        """What each axis of a tensor holds."""
        if not isinstance(tensor, Tensor):
            return ()
        if id(tensor) in self.known:
            return self.known[id(tensor)]
        given = self.reading.watched.watch.number_of(tensor) is None and tensor.is_floating_point()
        if given and tensor.dim() in (4, 5) and not isinstance(tensor, nn.Parameter):
            return (None, *(Laid((size,)) for size in tensor.shape[1:]))
        return (None,) * tensor.dim()

    def _follow(self, call: Call) -> None:
        results = call.tensors
        if not call.read or not results:
            return
        given, result = call.read[0], results[0]
        axes = self.axes(given)
        found: Axes | None = None
        if call.name in MAPS and result.dim() == 4:
            asked = {laid.asked for laid in axes[-2:] if laid is not None}
            if len(asked) == 1 and None not in asked and len(axes) == 4 and None not in axes[-2:] and _mixes(call):
                (by,) = asked
                assert by is not None
                self.turned.append(Turned(self.were[by.number], by, call))
            found = (None, None, *(Laid((size,)) for size in result.shape[-2:]))
        elif call.name in RESHAPES:
            found = self._reshaped(call, given, result)
        elif call.name in ("transpose", "permute", "swapaxes"):
            found = moved(call, axes)
        elif call.name == "__get__":
            found = read_off(given, result, axes)
        elif call.name in ("linear", "scaled_dot_product_attention", "multi_head_attention_forward"):
            found = (*axes[:-1], None)
        elif call.name in ("matmul", "__matmul__", "bmm") and len(call.read) > 1 and min(given.dim(), result.dim()) > 2:
            found = (*([None] * (result.dim() - 2)), axes[-2], self.axes(call.read[1])[-1])
        elif call.name in ("cat", "concat"):
            found = self._joined(call, result)
        elif call.name == "__getitem__":
            found = cut(call, axes)
        elif call.name in REDUCES:
            found = reduced(call, self._met(call.read), result)
        elif call.name in ("scatter", "scatter_"):
            found = axes if self._is_mask(call) else None
        elif call.name in POINTWISE:
            found = self._met(call.read)
        own = found if found is not None and len(found) == result.dim() else (None,) * result.dim()
        fits = zip(own, result.shape, strict=True)
        self.known[id(result)] = tuple(
            a if a is not None and prod(a.sizes) + a.before + a.after == n else None for a, n in fits
        )
        for other in results[1:]:
            self.known[id(other)] = (None,) * other.dim()

    def _met(self, tensors: Sequence[Tensor]) -> Axes:
        """The axes of several tensors that are broadcast against each other."""
        found: list[Laid | None] = []
        for each in zip_longest(*(self.axes(t)[::-1] for t in tensors)):
            known = {laid for laid in each if laid is not None}
            found.append(known.pop() if len(known) == 1 else None)
        return tuple(found[::-1])

    def _is_mask(self, call: Call) -> bool:
        """Whether a number is put at the very places that a ranking found; others may be in another order."""
        calls = self.reading.watched.calls
        made = self.reading.watched.watch.number_of(call.read[1]) if len(call.read) == 2 else None
        while made is not None and calls[made].name == "__getitem__" and len(calls[made].read) == 1:
            made = self.reading.watched.watch.number_of(calls[made].read[0])
        return made is not None and calls[made].name in RANKED

    def _joined(self, call: Call, result: Tensor) -> Axes | None:
        parts = call.args[0] if call.args else call.kwargs.get("tensors")
        axis = call.argument(1, "dim", 0)
        if not isinstance(parts, (list, tuple)) or type(axis) is not int or len({t.dim() for t in parts}) != 1:
            return None
        axis %= result.dim()
        found = list(self._met(parts))
        alone = [i for i, part in enumerate(parts) if self.axes(part)[axis] is not None]
        found[axis] = None
        laid = self.axes(parts[alone[0]])[axis] if len(alone) == 1 else None
        if laid is not None and len(laid.sizes) > 1:
            before, after = (sum(t.shape[axis] for t in s) for s in (parts[: alone[0]], parts[alone[0] + 1 :]))
            found[axis] = Laid(laid.sizes, laid.before + before, laid.after + after, laid.asked)
        return tuple(found)

    def _reshaped(self, call: Call, given: Tensor, result: Tensor) -> Axes | None:
        axes = self.axes(given)
        found: list[Laid | None] = [None] * result.dim()
        for own, others in groups(given.shape, result.shape):
            laid = [axes[i] for i in own]
            if len(own) == len(others) == 1:
                found[others[0]] = laid[0]
            elif all(each is not None and not each.before and not each.after for each in laid):
                asked = {each.asked for each in laid if each is not None}
                if asked != {None}:
                    continue
                sizes = [size for each in laid if each is not None for size in each.sizes]
                parts = split(sizes, [result.shape[j] for j in others])
                if parts is not None:
                    for j, part in zip(others, parts, strict=True):
                        found[j] = Laid(part)
                elif len(own) == 1 and len(others) == 2 and [result.shape[j] for j in others] == sizes[::-1]:
                    self.were[call.number] = tuple(sizes)
                    for j in others:
                        found[j] = Laid((result.shape[j],), asked=call)
        return tuple(found)


def _mixes(call: Call) -> bool:
    """Whether a call brings places together that are next to each other in both directions."""
    if call.name in ("conv2d", "conv_transpose2d"):
        return all(size > 1 for size in call.read[1].shape[-2:])
    if call.name in ("max_pool2d", "avg_pool2d"):
        kernel = call.argument(1, "kernel_size")
        return min(kernel) > 1 if isinstance(kernel, (tuple, list)) else type(kernel) is int and kernel > 1
    if call.name in ("interpolate", "upsample") or "adaptive" in call.name:
        before, after = call.read[0].shape[-2:], call.tensors[0].shape[-2:]
        return all(a != b > 1 for a, b in zip(before, after, strict=True))
    return True
