"""Numbers that a module advances by itself, one step with every call of training, and where they would stand later."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.watching.record import Call, Watch, Watched, watch
from sdtps_ref.properties.watching.stepping import next_call
from sdtps_ref.properties.watching.subject import Subject
from sdtps_ref.properties.watching.tracing_numbers import uses

CALLS = 3  # of training, in which a counter shows its step
LATE = 20_000  # calls of training, by which a schedule has come to its end
TIMES = 3  # as many times the length of a warm-up is late, too
SETTLED = 2  # calls of training, in which what is capped comes to its cap
CAPPED = 3  # numbers that stop by themselves, of which it is looked up where
LENGTHS = re.compile(r"(.*_)?(steps?|iters?|iterations|updates|length|period)")
WHOLE = re.compile(r"(total|max|n_?train|num_?train|training)(ing)?_?(steps?|iters?|iterations|updates)|t_max")
LEAST = 50  # steps of a training: fewer are of something else


@dataclass(eq=False)
class Number:
    """A number that a part of the module holds. owner: the part, or a plain object of it; held: where it is kept."""

    name: str
    owner: Any
    held: dict[str, Any]

    @property
    def value(self) -> float:
        """What it is now."""
        return float(self.held[self.name])

    def put(self, value: float) -> None:
        """Let it be that, in place where it is a tensor, which others may hold too."""
        old = self.held[self.name]
        if isinstance(old, Tensor):
            with torch.no_grad():
                old.fill_(round(value) if not old.is_floating_point() else value)
        else:
            self.held[self.name] = round(value) if type(old) is int else value


@dataclass(eq=False)
class Counter:
    """A number that every call of training advances: by `step`, or, where there is a `ratio`, to a multiple.

    late: the number of further calls by which it is as far as it comes.
    """

    number: Number
    start: float
    step: float
    ratio: float | None = None
    late: int = LATE

    def after(self, calls: int) -> float:
        """What it is after so many further calls."""
        return self.start * self.ratio**calls if self.ratio else self.start + calls * self.step

    def advances_from(self, value: float) -> bool:
        """Whether it is now one step further than that."""
        owed = value * self.ratio if self.ratio else value + self.step
        return abs(self.number.value - owed) <= max(0.05 * abs(owed - value), 1e-12)


def numbers_of(module: nn.Module) -> list[Number]:
    """All single numbers that are no parameters to be trained: of its parts, and of plain objects that they hold."""
    found: dict[tuple[int, str], Number] = {}
    for part in module.modules():
        if type(part).__module__.startswith("torch."):
            continue  # the batches that a batch norm counts
        plain = [value for name, value in vars(part).items() if _is_plain(name, value)]
        inner = [(value, value if isinstance(value, dict) else vars(value)) for value in plain]
        for owner, held in [(part, vars(part)), (part, part._buffers), (part, part._parameters), *inner]:
            for name, value in list(held.items()):
                if type(name) is str and _is_number(value):
                    found.setdefault((id(value) if isinstance(value, Tensor) else id(held), name),
                                     Number(name, owner, held))  # fmt: skip
    return list(found.values())


def _is_plain(name: str, value: Any) -> bool:
    if name.startswith("__") or isinstance(value, (nn.Module, Tensor, type)) or callable(value):
        return False
    if name in ("_parameters", "_buffers", "_modules"):
        return False
    return (isinstance(value, dict) or hasattr(value, "__dict__")) and len(getattr(value, "__dict__", value)) < 100


def _is_number(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.numel() == 1 and value.dtype != torch.bool and not value.requires_grad and not value.is_complex()
    return type(value) in (int, float)


def counters_of(subject: Subject, seen_too: Callable[[Watched], None]) -> list[Counter]:
    """What every call of training advances alike, whatever its input is; whole numbers where there are any, from which
    others are worked out. seen_too: is given each pass before the next one, which may change what it was made of."""
    assert subject.module is not None
    held = numbers_of(subject.module)
    seen = [[number.value for number in held]]
    for call in range(1, 1 + CALLS):
        seen_too(next_call(subject, call))
        seen.append([number.value for number in held])
    found = [_counter(number, [row[i] for row in seen]) for i, number in enumerate(held)]
    counters = [counter for counter in found if counter is not None]
    whole = [c for c in counters if c.ratio is None and c.step == round(c.step) and c.start == round(c.start)]
    return whole or counters


def _counter(number: Number, values: list[float]) -> Counter | None:
    first, *_, last = values
    steps = [b - a for a, b in pairwise(values)]
    if first == last or any(step == 0 or step != step for step in steps):
        return None
    off = max(abs(step - steps[0]) for step in steps) / abs(steps[0])
    ratios = [b / a for a, b in pairwise(values) if a]
    if type(number.held[number.name]) is not int and len(ratios) == len(steps) and all(r > 0 for r in ratios):
        apart = max(abs(ratio - ratios[0]) for ratio in ratios) / abs(ratios[0] - 1)
        if apart < 1e-3 and apart < off:
            return Counter(number, last, steps[-1], ratios[-1])
    return Counter(number, last, steps[-1]) if off < 1e-3 else None


def lengths_of(module: nn.Module) -> tuple[float | None, float]:
    """How many steps the whole training has, where the module holds that; and the longest of its other lengths."""
    held = [(number.name.lower().strip("_"), number.value) for number in numbers_of(module)]
    whole = [value for name, value in held if WHOLE.fullmatch(name) and value >= LEAST]
    return max(whole, default=None), max((value for name, value in held if LENGTHS.fullmatch(name)), default=0.0)


def let_them_be_late(subject: Subject, counters: list[Counter], ahead: int) -> bool:
    """Put them where they are late in training, as far as each of them comes; whether that could be done.

    ahead: calls that are to be made from there, which do not go beyond the end of a training of known length.
    """
    assert subject.module is not None
    whole, longest = lengths_of(subject.module)
    for counter in counters:
        counter.late = max(LATE, round(min(TIMES * longest / abs(counter.step), 1e7)))
        if whole is not None and counter.ratio is None:
            counter.late = max(0, round((whole - counter.start) / abs(counter.step)) - ahead - SETTLED)
    _put(counters)
    capped = _not_advanced(subject, counters)
    if len(capped) > CAPPED:
        return False
    for counter in capped:
        low, high = 0, counter.late
        while high - low > 1:
            counter.late = (low + high) // 2
            _put(counters)
            low, high = (low, counter.late) if counter in _not_advanced(subject, counters) else (counter.late, high)
        counter.late = low
    _put(counters)
    for seed in range(SETTLED):
        _call(subject.run(seed, going_on=True), seed)
    return True


def _put(counters: list[Counter]) -> None:
    for counter in counters:
        counter.number.put(counter.after(counter.late))


def _not_advanced(subject: Subject, counters: list[Counter]) -> list[Counter]:
    before = [counter.number.value for counter in counters]
    _call(subject.run(0, going_on=True), 0)
    return [counter for counter, value in zip(counters, before, strict=True) if not counter.advances_from(value)]


def _call(run: Callable[[], Any], seed: int) -> None:
    torch.manual_seed(seed)
    run()


@contextlib.contextmanager
def restored(numbers: list[Number]) -> Iterator[None]:
    """Puts the numbers back to what they are now, once it goes on: an object may be shared with others."""
    kept = [(number, number.value) for number in numbers]
    try:
        yield
    finally:
        for number, value in kept:
            number.put(value)


def last_place_of(subject: Subject, counters: list[Counter], until: Call) -> SourceLine | None:
    """The last line that works with one of the counters before that call of a late pass, else None."""
    found: list[tuple[int, SourceLine]] = []
    for counter in counters:
        number = counter.number
        if isinstance(number.held[number.name], Tensor):
            found += _places_of_tensor(subject, counter, until)
            continue
        modes: list[Watch] = []

        run = subject.run(0, going_on=True)

        def watched(modes: list[Watch] = modes, run: Callable[[], Any] = run) -> None:
            modes.append(Watch())
            with modes[-1]:
                run()

        lines = uses(
            watched, number.held, number.name, counter.step,
            lambda modes=modes: len(modes[-1].calls) > until.number,  # type: ignore[misc]
        )  # fmt: skip
        found += [(0, line) for line in lines[-1:]]
    return max(found, key=lambda pair: pair[0])[1] if found else None


def _places_of_tensor(subject: Subject, counter: Counter, until: Call) -> list[tuple[int, SourceLine]]:
    """Of the calls before that one which work with the counter's tensor, and not to advance it, the last."""
    tensor = counter.number.held[counter.number.name]
    watched = watch(subject.run(0, going_on=True), 0)
    of_it: set[int] = set()
    found: list[tuple[int, SourceLine]] = []
    for call in watched.calls[: until.number]:
        reads = any(t is tensor for t in call.read) or any(n in of_it for n in call.inputs)
        one = all(t.numel() == 1 for t in call.tensors)
        if not reads or not one or any(t is tensor for t in call.tensors):
            continue
        of_it.add(call.number)
        if call.place is not None:
            found.append((call.number, call.place))
    return found[-1:]
