"""What a returned loss is added up of: its terms with a gradient, and numbers without one."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from sdtps_ref.properties.watching.choosing import CHOOSES
from sdtps_ref.properties.watching.forms import PRODUCTS, SUMS
from sdtps_ref.properties.watching.graph import DRAWS, SAME_NUMBERS
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call, tensors_in
from sdtps_ref.properties.watching.sites import Site

QUOTIENTS = ("div", "__truediv__", "div_", "__itruediv__", "true_divide", "divide")
GATHERS = ("stack", "mean", "sum", "neg", "__neg__", "__pos__")  # what is linear besides
ON = SAME_NUMBERS - {"detach", "__get__"}
BY_SHAPE = ("type_as", "to", "expand_as", "view_as", "reshape_as", "new_tensor")  # of a second tensor no numbers
HARD = ("bernoulli", "round", "sign", "heaviside")  # results that are a choice themselves, in floating numbers


@dataclass(frozen=True)
class Added:
    """A number without gradient that is added to one with a gradient. made: its call; by: the call that adds it."""

    number: Tensor
    made: int | None
    by: Call


@dataclass
class Terms:
    """What a loss is the sum of, weights and means left aside. trained: those with a gradient, and their calls."""

    trained: list[tuple[Tensor, int | None]] = field(default_factory=list)
    added: list[Added] = field(default_factory=list)


def is_small(tensor: Tensor) -> bool:
    """Whether it is one number, or one in each row."""
    return tensor.numel() == 1 or tensor.dim() <= 1 or (tensor.dim() == 2 and tensor.shape[-1] == 1)


def loss_of(reading: Reading) -> Tensor | None:
    """The returned number that all other returned numbers with a gradient are part of; None where there is none."""
    made = reading.watched.watch.number_of
    found = [t for t in tensors_in(reading.watched.output) if t.is_floating_point() and t.requires_grad]
    numbers = [(n, t) for t in found if t.numel() == 1 and t.dim() <= 1 and (n := made(t)) is not None]
    for last, loss in numbers:
        if all(reading.graph.depends(last, n) for n, _ in numbers):
            return loss
    return None


def terms_of(reading: Reading, loss: Tensor) -> Terms:
    """Its terms, as far back as it is a sum of small numbers."""
    decided = [site.decision_call.number for site in reading.sites if site.decision_call is not None]
    found, todo = Terms(), [(loss, reading.watched.watch.number_of(loss))]
    seen: set[tuple[int, int | None]] = set()
    while todo:
        tensor, number = todo.pop()
        if (id(tensor), number) in seen:
            continue
        seen.add((id(tensor), number))
        call = None if number is None else reading.watched.calls[number]
        of_d = number is not None and any(reading.graph.depends(d, number) for d in decided)
        parts = [] if call is None or of_d or not is_small(tensor) else _summed(call)
        if not parts:
            found.trained.append((tensor, number))
            continue
        assert call is not None
        for part in parts:
            made = _made_before(reading, call, part)
            if part.requires_grad:
                todo.append((part, made))
            else:
                found.added.append(Added(part, made, call))
    return found


def _made_before(reading: Reading, call: Call, given: Tensor) -> int | None:
    """The call that made what this one was given, which it may have changed in place."""
    if not any(given is t for t in call.tensors):
        return reading.watched.watch.number_of(given)
    earlier = [n for n in call.inputs if any(given is t for t in reading.watched.calls[n].tensors)]
    return max(earlier, default=None)


def _summed(call: Call) -> list[Tensor]:
    """What a call adds up, or takes over; empty where it does anything else."""
    read = [t for t in call.read if t.is_floating_point()]
    trained = [t for t in read if t.requires_grad]
    if call.name in SUMS or call.name in GATHERS:
        return read
    if call.name in ON:
        return read[:1]
    if call.name in PRODUCTS or (call.name in QUOTIENTS and call.args and call.args[0] is trained[0]):
        return trained if len(trained) == 1 else []
    return []


def counted_at(reading: Reading, added: Added, site: Site) -> Call | None:
    """The call that makes a number of this site's hard choice, and of nothing else that could have a gradient.

    None where it is made of something that was detached, or of no choice.
    """
    own = {site.choice.number, *(call.number for call in site.further)}
    todo, cone = [(added.number, added.made)], list[Call]()
    seen: set[tuple[int, int | None]] = set()
    of_choice = False
    while todo:
        tensor, made = todo.pop()
        if (id(tensor), made) in seen:
            continue
        seen.add((id(tensor), made))
        if made is None:
            if tensor.requires_grad:
                return None
            continue
        call = reading.watched.calls[made]
        if not tensor.is_floating_point() or call.name in HARD:
            of_choice = of_choice or any(reading.graph.depends(made, n) for n in own)
            continue
        if call.name.endswith("_like") or call.name.startswith("new_") or call.name in DRAWS:
            continue
        read = call.read[:1] if call.name in BY_SHAPE else call.read
        if tensor.requires_grad or call.name in CHOOSES or any(t.requires_grad for t in read):
            return None
        cone.append(call)
        todo += [(t, _made_before(reading, call, t)) for t in read]
    counts = [call for call in cone if is_small(call.tensors[0]) and call.place is not None]
    counts = [c for c in counts if any(t.numel() > c.tensors[0].numel() for t in c.read)] or counts
    return min(counts, key=lambda call: call.number, default=None) if of_choice else None


def is_cut(reading: Reading, loss: Tensor) -> bool:
    """Whether a small number that has a gradient goes into the loss without it, as in a straight-through sum."""
    last = reading.watched.watch.number_of(loss)
    for call in reading.watched.calls:
        if last is None or call.name.endswith("_like") or not reading.graph.depends(last, call.number):
            continue
        before = [t for t in call.read if t.requires_grad and is_small(t)]
        after = [t for t in call.tensors if t.is_floating_point() and t.dim() < 3]
        if before and after and not any(t.requires_grad for t in after):
            return True
    return False
