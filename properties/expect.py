"""Comparisons whose failure says what was seen, what should have been, and where."""

from collections.abc import Callable

import torch
from torch import Tensor

from sdtps_ref.properties.law import Discard, Violation
from sdtps_ref.properties.probe import Probe


def expect_equal(probe: Probe, name: str, axes: str, seen: Tensor, owed: Tensor) -> None:
    """`seen` is `owed` to the bit of its value (-0 is 0; NaN equals nothing). axes: a letter each, as in "bn"."""
    expect_close(probe, name, axes, seen, owed, tolerance=0.0)


def expect_close(
    probe: Probe, name: str, axes: str, seen: Tensor, owed: Tensor, *, tolerance: float, because: str = ""
) -> None:
    """|seen - owed| <= tolerance in every entry; NaN is never close. because: a hint that ends the message."""
    expect_shape(probe, name, seen, tuple(owed.shape))
    if seen.numel() == 0:
        return
    gap = (seen.detach().double() - owed.detach().double()).abs()
    wrong = ~(gap <= tolerance)
    if not wrong.any():
        return
    index, at, expression = _worst(probe, axes, seen, gap, wrong)
    saw, should = seen[index].item(), owed[index].item()
    how = "exact" if tolerance == 0 else f"within {tolerance:.3g}"
    reason = f": {because}" if because else ""
    raise Violation(
        f"{name}[{at}] = {saw:.9g}, but should be {should:.9g} "
        f"({int(wrong.sum())} of {wrong.numel()} entries; {how}){reason}",
        check=f"abs({expression} - {should!r}) <= {tolerance!r}",
    )


def expect_within(
    probe: Probe, name: str, axes: str, seen: Tensor, low: Tensor, high: Tensor, *, tolerance: float, because: str
) -> None:
    """low - tolerance <= seen <= high + tolerance in every entry; NaN is never within."""
    expect_shape(probe, name, seen, tuple(low.shape))
    value = seen.detach().double()
    gap = torch.maximum(low.detach().double() - value, value - high.detach().double())
    wrong = ~(gap <= tolerance)
    if not wrong.any():
        return
    index, at, expression = _worst(probe, axes, seen, gap, wrong)
    least, most = low[index].item(), high[index].item()
    raise Violation(
        f"{name}[{at}] = {seen[index].item():.9g}, but should lie between {least:.9g} and {most:.9g} "
        f"({int(wrong.sum())} of {wrong.numel()} entries; within {tolerance:.3g}): {because}",
        check=f"{least!r} - {tolerance!r} <= {expression} <= {most!r} + {tolerance!r}",
    )


def _worst(probe: Probe, axes: str, seen: Tensor, gap: Tensor, wrong: Tensor) -> tuple[tuple[int, ...], str, str]:
    """The index of the entry that is off the most, in words, and as the script writes it."""
    worst = torch.where(wrong & gap.isnan(), float("inf"), torch.where(wrong, gap, -1.0)).argmax()
    index = tuple(int(i) for i in torch.unravel_index(worst, seen.shape))
    at = ", ".join(f"{axis}={i}" for axis, i in zip(axes, index, strict=True))
    return index, at, f"{probe.script.shown(seen)}[{', '.join(map(str, index))}].item()"


def expect_shape(probe: Probe, name: str, seen: Tensor, owed: tuple[int, ...]) -> None:
    """`seen` has the shape `owed`."""
    if tuple(seen.shape) != owed:
        raise Violation(
            f"{name} has shape {tuple(seen.shape)}, but should have {owed}",
            check=f"tuple({probe.script.shown(seen)}.shape) == {owed}",
        )


def expect_finite(probe: Probe, name: str, seen: Tensor, because: str = "") -> None:
    """No NaN and no infinity in `seen`."""
    bad = ~torch.isfinite(seen)
    if bad.any():
        index = bad.nonzero()[0].tolist()
        reason = f": {because}" if because else ""
        raise Violation(
            f"{name}{index} = {seen[tuple(index)].item()}, but should be finite "
            f"({int(bad.sum())} of {bad.numel()} entries){reason}",
            check=f"torch.isfinite({probe.script.shown(seen)}).all()",
        )


def can_tell(owed: Tensor, tokens: Tensor, tolerance: float, trivial: Callable[[Tensor], Tensor] | None = None) -> None:
    """Discard the case unless zeros and the token mean (uniform weights) would fail on it.

    owed: B M C; tokens: the pooled ones, B K C. A law that an answer without any selection would pass
    says nothing about selection.
    """
    mean = tokens.mean(dim=1, keepdim=True).expand_as(owed)
    for answer in (torch.zeros_like(owed), mean, *([trivial(tokens)] if trivial else [])):
        if not (owed - answer).abs().amax() > 10 * tolerance:
            raise Discard
