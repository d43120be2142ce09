"""Comparisons whose failure says what was seen, what should have been, and where."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sized
from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.kit.digits import apart
from sdtps_ref.properties.kit.literals import number
from sdtps_ref.properties.kit.outcomes import Inconclusive, Violation
from sdtps_ref.properties.kit.probe import Probe


def expect_equal(probe: Probe, name: str, axes: str, seen: Tensor, owed: Tensor, because: str = "") -> None:
    """`seen` is `owed` to the bit of its value (-0 is 0; NaN equals nothing); arguments as for `expect_close`."""
    expect_close(probe, name, axes, seen, owed, tolerance=0.0, because=because)


def expect_close(
    probe: Probe,
    name: str,
    axes: str,
    seen: Tensor,
    owed: Tensor,
    *,
    tolerance: float,
    because: str = "",
    constant: bool = False,
) -> None:
    """|seen - owed| <= tolerance in every entry; NaN is never close.

    axes: a letter each, as in "bn". The message puts the index where `name` says it, as in "decision[bn] of
    the compiled selector", else after the name. because: a hint that ends the message.
    constant: `owed` depends on nothing that the implementation gave, and a script may spell it out. Raises
    UnnamedTensor where a script could only spell out what the broken code gave.
    """
    if not constant:
        probe.script.demand(owed, f"what {name} should be")
    expect_shape(probe, name, seen, tuple(owed.shape))
    if seen.numel() == 0:
        return
    gap = (seen.detach().double() - owed.detach().double()).abs()
    wrong = ~(gap <= tolerance)
    if not wrong.any():
        return
    index, expression = _worst(probe, seen, gap, wrong)
    saw, should = seen[index].item(), owed[index].item()
    how = _how_many(wrong, tolerance) if tolerance else f"{_how_many(wrong)}; exact"
    reason = f": {because}" if because else ""
    shown, due = apart(saw, should)
    due = "a number" if math.isnan(should) else due  # where what it is compared with is NaN as well
    raise Violation(
        f"{placed(name, axes, index)} = {shown}, but should be {due} ({how}){reason}",
        check=_close(expression, _owed(probe, owed, index, constant), tolerance, math.isfinite(should)),
    )


def expect_within(
    probe: Probe, name: str, axes: str, seen: Tensor, low: Tensor, high: Tensor, *, tolerance: float, because: str
) -> None:
    """low - tolerance <= seen <= high + tolerance in every entry; NaN is never within."""
    for bound in (low, high):
        probe.script.demand(bound, f"a bound of {name}")
    expect_shape(probe, name, seen, tuple(low.shape))
    value = seen.detach().double()
    gap = torch.maximum(low.detach().double() - value, value - high.detach().double())
    wrong = ~(gap <= tolerance)
    if not wrong.any():
        return
    index, expression = _worst(probe, seen, gap, wrong)
    least, most = low[index].item(), high[index].item()
    shown, lower, upper = apart(seen[index].item(), least, most)
    owed = f"be {lower}" if least == most else f"lie between {lower} and {upper}"
    raise Violation(
        f"{placed(name, axes, index)} = {shown}, but should {owed} ({_how_many(wrong, tolerance)}): {because}",
        check=f"{_entry(probe.script.shown(low), index)} - {tolerance!r} <= {expression}"
        f" <= {_entry(probe.script.shown(high), index)} + {tolerance!r}",
    )


def placed(name: str, axes: str, index: tuple[int, ...] | list[int]) -> str:
    """`name` with the index in it: where it says "[bn]", those axes; else all of them at its end."""
    position = dict(zip(axes, index, strict=True))

    def shown(letters: str) -> str:
        return f"[{', '.join(f'{axis}={position[axis]}' for axis in letters)}]"

    said, count = re.subn(rf"\[([{axes}]+)\]", lambda found: shown(found[1]), name) if axes else (name, 0)
    return said if count else name + shown(axes)


def _how_many(wrong: Tensor, tolerance: float = 0.0) -> str:
    count = f"{int(wrong.sum())} of {wrong.numel()} entries"
    return f"{count} are off by more than {tolerance:.3g}" if tolerance else count


def _worst(probe: Probe, seen: Tensor, gap: Tensor, wrong: Tensor) -> tuple[tuple[int, ...], str]:
    """The index of the entry that is off the most, and that entry as the script writes it."""
    worst = torch.where(wrong & gap.isnan(), float("inf"), torch.where(wrong, gap, -1.0)).argmax()
    index = tuple(int(i) for i in torch.unravel_index(worst, seen.shape))
    return index, _entry(probe.script.shown(seen), index)


def _entry(expression: str, index: tuple[int, ...]) -> str:
    return f"{expression}[{', '.join(map(str, index))}].item()" if index else f"{expression}.item()"


def _owed(probe: Probe, owed: Tensor, index: tuple[int, ...], constant: bool) -> str:
    """What is owed, as the script computes it, or the number that it always is."""
    if constant or probe.script.is_filled(owed):
        return number(owed[index].item(), owed.dtype)
    return _entry(probe.script.shown(owed), index)


def _close(seen: str, owed: str, tolerance: float, finite: bool) -> str:
    if tolerance == 0 and finite:
        return f"{seen} == {owed}"
    gap = seen if owed in ("0.0", "0", "-0.0") else f"{seen} - {owed}"
    return f"abs({gap}) <= {tolerance!r}"


def expect_shape(probe: Probe, name: str, seen: Tensor, owed: tuple[int, ...]) -> None:
    """`seen` has the shape `owed`."""
    probe.script.demand(seen, name)
    if tuple(seen.shape) != owed:
        plain = re.sub(r"\[[a-z]+\]", "", name)
        raise Violation(
            f"{plain} has shape {tuple(seen.shape)}, but should have {owed}",
            check=f"tuple({probe.script.shown(seen)}.shape) == {owed}",
        )


def expect_finite(probe: Probe, name: str, axes: str, seen: Tensor, because: str = "") -> None:
    """No NaN and no infinity in `seen`; `name` and `axes` as for `expect_close`."""
    probe.script.demand(seen, name)
    bad = ~torch.isfinite(seen)
    if bad.any():
        index = bad.nonzero()[0].tolist()
        reason = f": {because}" if because else ""
        raise Violation(
            f"{placed(name, axes, index)} = {seen[tuple(index)].item()}, but should be finite "
            f"({int(bad.sum())} of {bad.numel()} entries are not){reason}",
            check=f"torch.isfinite({probe.script.shown(seen)}).all()",
        )


def expect_dtype(probe: Probe, name: str, seen: Tensor, owed: torch.dtype) -> None:
    """`seen` has the dtype `owed`."""
    if seen.dtype != owed:
        raise Violation(
            f"{name} has dtype {seen.dtype}, but should have {owed}",
            check=f"{probe.script.shown(seen)}.dtype == {owed}",
        )


def expect_device(probe: Probe, name: str, seen: Tensor, owed: torch.device) -> None:
    """`seen` is on a device of the kind of `owed`."""
    if seen.device.type != owed.type:
        raise Violation(
            f"{name} is on {seen.device}, but should be on {owed}",
            check=f"{probe.script.shown(seen)}.device.type == {owed.type!r}",
        )


def expect_keys(probe: Probe, message: str, seen: Any, owed: Iterable[str]) -> None:
    """`seen` is a mapping with exactly the keys `owed`. message: what a violation says."""
    owed = sorted(owed)
    if not isinstance(seen, Mapping) or set(seen) != set(owed):
        shown = probe.script.shown(seen)
        raise Violation(message, check=f"hasattr({shown}, 'keys') and set({shown}) == set({owed!r})")


def expect_nothing(probe: Probe, message: str, seen: Sized) -> None:
    """`seen` is empty. message: what a violation says."""
    if seen:
        raise Violation(message, check=f"not {probe.script.shown(seen)}")


def can_tell(owed: Tensor, tokens: Tensor, tolerance: float, trivial: Callable[[Tensor], Tensor] | None = None) -> None:
    """Raise Inconclusive unless zeros and the token mean (uniform weights) would fail on it.

    owed: B M C; tokens: the pooled ones, B K C. A law that an answer without any selection would pass
    says nothing about selection.
    """
    mean = tokens.mean(dim=1, keepdim=True).expand_as(owed)
    for answer in (torch.zeros_like(owed), mean, *([trivial(tokens)] if trivial else [])):
        if not (owed - answer).abs().amax() > 10 * tolerance:
            raise Inconclusive
