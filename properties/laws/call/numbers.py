"""Python numbers that the user's own call writes into tensors: they arrive as they are."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, passes_of
from sdtps_ref.properties.watching.choosing import LEAVES
from sdtps_ref.properties.watching.graph import SAME_NUMBERS
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call

# By the call that writes a number, where the number stands among its arguments, and its name.
WRITES = {
    "full_like": (1, "fill_value"),
    "new_full": (2, "fill_value"),
    "full": (1, "fill_value"),
    "fill_": (1, "value"),
    "fill": (1, "value"),
    "masked_fill": (2, "value"),
    "masked_fill_": (2, "value"),
    "index_fill": (3, "value"),
    "index_fill_": (3, "value"),
    "fill_diagonal_": (1, "fill_value"),
    "scatter": (3, "value"),
    "scatter_": (3, "value"),
    "__setitem__": (2, "value"),
    "tensor": (0, "data"),
    "new_tensor": (1, "data"),
    "as_tensor": (0, "data"),
}
TOLD = ("tensor", "as_tensor", "full")  # a dtype without a fraction was asked for by name
WHOLE = ("clamp", "clamp_", "clamp_min", "clip", "maximum", "max", "__getitem__", *LEAVES)  # no use by itself
MEASURES = ("add", "sub", "__add__", "__sub__", "__radd__", "__rsub__", "rsub", "mul", "__mul__", "__rmul__", "div",
            "__truediv__", "__rdiv__", "__rtruediv__", "gt", "ge", "lt", "le", "__gt__", "__ge__", "__lt__", "__le__",
            "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy", "kl_div",
            "binary_cross_entropy_with_logits", "minimum", "maximum", "where")  # fmt: skip
ON = (*SAME_NUMBERS, "mean", "__getitem__", "repeat", "stack", "cat", "clamp", "where", "masked_fill", "masked_fill_")


@law(needs="call", domain=CALL)
def numbers_are_not_truncated(probe: Probe) -> None:
    """A number with a fraction that is written into a tensor can be read from it again.

    Why: a tensor of whole numbers has no place for a fraction and drops it without a word. `full_like(count, 0.4)` is
    0 where count was counted: the budget, target or threshold that was asked for is another one.
    Breaks when: `torch.full_like(count, 0.4)`, `count.new_full(..., 0.4)`, `fill_(0.4)` or a number written by index,
    where the tensor is of whole numbers; `torch.tensor(0.4, dtype=torch.long)`.
    Remedy: say the dtype: `torch.full_like(rate, 0.4)`, or `torch.full_like(count, 0.4, dtype=rate.dtype)`.
    """
    reading = passes_of(probe).reading()
    for call in reading.watched.calls:
        number = _lost(call)
        if number is not None and call.place is not None and _counts(reading, call, number):
            kind = str(call.tensors[0].dtype).removeprefix("torch.")
            raise Violation(
                f"{number:g} is written into a tensor of {kind}, where {_whole(call, number)} is left of it",
                where=call.place,
                effect="what is measured by it is led to another number than the one that was asked for",
                fix="a floating tensor: torch.full_like(count, 0.4, dtype=torch.float32), say",
            )


def _lost(call: Call) -> float | None:
    """The number whose fraction a call drops."""
    if call.name not in WRITES or not call.tensors:
        return None
    made = call.tensors[0]
    if made.is_floating_point() or made.is_complex():
        return None
    place, name = WRITES[call.name]
    given = call.args[place] if len(call.args) > place else call.kwargs.get(name, call.kwargs.get("value"))
    numbers = [number for number in _flat(given) if type(number) is float and number % 1 != 0 and abs(number) < 2**31]
    if isinstance(given, (list, tuple)) and _is_of_truth(made):
        return None  # which of them are not zero
    return numbers[0] if numbers else None


def _flat(given: Any) -> list[Any]:
    if isinstance(given, (list, tuple)):
        return [number for part in given for number in _flat(part)]
    return [] if isinstance(given, Tensor) else [given]


def _is_of_truth(tensor: Tensor) -> bool:
    return "bool" in str(tensor.dtype)


def _whole(call: Call, number: float) -> str:
    return "True" if _is_of_truth(call.tensors[0]) else str(int(number))


def _counts(reading: Reading, call: Call, number: float) -> bool:
    """Whether the lost fraction is missed: floating numbers are measured by what is left, or nothing is left of it.

    A number above one may be meant to be rounded down, as of the tokens that a share of all comes to: where whole
    numbers were asked for by name, or are used as such.
    """
    told = call.name in TOLD or call.kwargs.get("dtype") is not None
    followed, used, measured, counted = {call.number}, False, False, False
    for later in reading.watched.calls[call.number + 1 :]:
        own = [t for t in later.read if reading.watched.watch.number_of(t) in followed]
        if not own:
            continue
        others = [t for t in later.read if t.is_floating_point() and not any(t is part for part in own)]
        measured = measured or (later.name in MEASURES and bool(others))
        counted = counted or later.name in LEAVES or (later.name in MEASURES and not others and len(later.read) > 1)
        used = used or later.name not in (*WHOLE, *SAME_NUMBERS)
        if later.name in ON:
            followed.add(later.number)
    if abs(number) < 1:
        return measured or (used and not told)
    return measured and not told and not counted
