"""Running values of the user's own module: what it keeps from call to call can hold what is written into it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.laws.call.reading_of import CALL, passes_of
from sdtps_ref.properties.watching.record import Watched
from sdtps_ref.properties.watching.starting import where_started
from sdtps_ref.properties.watching.stepping import next_call
from sdtps_ref.properties.watching.subject import Subject
from sdtps_ref.properties.watching.unrounded import Unrounded, writes

CALLS, TRIED = 5, 10  # calls of training, and tried ones, of which not all may run
SAME_WAY = 0.8  # of what the steps sum to by size, where they lead somewhere
STEPS_OF_DTYPE = 4  # by so many of them a value lies off, before it is said that it should move
LARGEST = 1_000_000  # entries of what is looked at


@dataclass(eq=False)
class Step:
    """What one call would add to a value in float64, and how much of the value it would keep."""

    added: Tensor
    kept: Tensor
    place: SourceLine | None


@law(needs="call", domain=CALL)
def running_values_move(probe: Probe) -> None:
    """What every call of training moves a little is kept in a dtype that holds so little.

    Why: bfloat16 has three digits. A hundredth of a difference, added to a value in it, rounds to nothing: a running
    mean with a momentum of 0.99 stays where it started, for ever, and so does one in a whole number.
    Breaks when: a running mean, threshold or share is a buffer in half precision, or one of dtype long.
    Remedy: `self.register_buffer("level", torch.zeros((), dtype=torch.float32))`, cast where it is used.
    """
    subject = passes_of(probe).subject.fresh()
    if subject is None or subject.module is None:
        raise Unsupported("the module cannot be copied")
    written = _written_and_the_same(subject)
    for name in written:
        at_first = _held(subject)[name].detach().double()
        steps = [step for call in range(TRIED) if (step := _step(subject, name, call)) is not None][:CALLS]
        value = _held(subject)[name].detach().double()
        if len(steps) < CALLS or not torch.equal(value, at_first):
            continue
        if not (off := _off(steps, value, _held(subject)[name].dtype)):
            continue
        own = name.rpartition(".")[2]
        dtype = str(_held(subject)[name].dtype).removeprefix("torch.")
        raise Violation(
            f"self.{own} is written in every training call and never moves: each step is lost in {dtype}, though it "
            f"should come to lie {off:.2g} further on",
            where=next(iter(where_started(subject, [name])), None) or steps[-1].place,
            effect=f"self.{own} stays what it was when the module was built",
            fix=f'self.register_buffer("{own}", ..., dtype torch.float32), cast where it is used',
        )


def _held(subject: Subject) -> dict[str, Tensor]:
    """Buffers and plain tensors, by name."""
    assert subject.module is not None
    held = dict(subject.module.named_buffers()) | subject.statistics()
    return {
        name: value
        for name, value in held.items()
        if 0 < value.numel() <= LARGEST and value.dtype != torch.bool and not value.is_complex()
    }


def _written_and_the_same(subject: Subject) -> list[str]:
    """What two training calls write and leave as it was."""
    before = {name: value.detach().clone() for name, value in _held(subject).items()}
    names: set[str] | None = None
    for call in (0, 1):
        owners = _held(subject)
        watched = next_call(subject, call)
        now = _held(subject)
        own = {n for n in now if n in owners and (now[n] is not owners[n] or _is_written(watched, owners[n]))}
        names = own if names is None else names & own
    now = _held(subject)
    return [n for n in sorted(names or ()) if n in before and before[n].shape == now[n].shape
            and before[n].dtype == now[n].dtype and torch.equal(before[n], now[n].detach())]  # fmt: skip


def _is_written(watched: Watched, tensor: Tensor) -> bool:
    where = tensor.untyped_storage().data_ptr()
    return any(
        writes(call.name, call.kwargs) and call.read and call.read[0].untyped_storage().data_ptr() == where
        for call in watched.calls
        if call.read and call.read[0].layout == torch.strided
    )


def _step(subject: Subject, name: str, call: int) -> Step | None:
    """One training call, its step in float64, and that from a value which is a little larger; None where it cannot be
    told, or the value moved."""
    before = _held(subject)[name].detach().clone()
    found: list[tuple[Tensor, SourceLine | None]] = []
    more = _more(before)
    for by in (torch.zeros_like(more), more):
        start = _held(subject)[name]
        run = subject.run(call, changed=call % 2 == 1, going_on=True)
        torch.manual_seed(call)
        mode = Unrounded(start, by)
        try:
            with mode:
                run()
        except Exception:  # it may not take other values
            return None
        end = _held(subject).get(name)
        if end is None or end.shape != before.shape or not torch.equal(end.detach(), before):
            return None
        wide = mode.wide.get(id(end))
        if wide is None or wide.shape != before.shape or not wide.isfinite().all():
            return None
        found.append((wide, mode.lines.get(id(end))))
    (first, place), (second, _) = found
    return Step(first - before.double(), (second - first) / more, place)


def _more(value: Tensor) -> Tensor:
    """A little, as much as its dtype can tell."""
    wide = value.double()
    if not value.is_floating_point():
        return torch.ones_like(wide)
    return torch.where(wide == 0, 1e-3, 8 * torch.finfo(value.dtype).eps * wide.abs())


def _off(steps: list[Step], value: Tensor, dtype: torch.dtype) -> float:
    """How far the steps lead away from the value, the most of any entry; 0 where they lead nowhere."""
    added = torch.stack([step.added for step in steps])
    kept = torch.stack([step.kept for step in steps]).mean(0)
    same_way = added.mean(0).abs() > SAME_WAY * added.abs().mean(0)
    # Of a mean that keeps a share of itself, the value that it goes to lies step / (1 - share) further on.
    away = added.mean(0).abs() / (1 - kept).clamp(1e-6, 1.0)
    counts = kept > 1 - 1e-6
    floating = dtype.is_floating_point
    grain = value.abs().clamp_min(1e-30) * torch.finfo(dtype).eps if floating else torch.ones_like(value)
    least = STEPS_OF_DTYPE * grain if floating else torch.where(value == 0, 0.1, grain)
    fair = same_way & (kept > 0.5) & (kept < 1 + 1e-6) & ((away > least) | (counts & (added.mean(0) != 0)))
    return float(torch.where(counts, added.mean(0).abs() * len(steps), away)[fair].max()) if bool(fair.any()) else 0.0
