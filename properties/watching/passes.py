"""The watched passes of one subject, each made once, however many laws read it."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor, nn

from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call, Watched, watch
from sdtps_ref.properties.watching.removal import gain_of, removal
from sdtps_ref.properties.watching.sites import Site
from sdtps_ref.properties.watching.soft_mask import SoftMask, soft_mask
from sdtps_ref.properties.watching.subject import Subject


class Passes:
    """Readings by seed, mode and kind of input."""

    def __init__(self, subject: Subject):
        self.subject = subject
        self._readings: dict[tuple[int, bool, bool], Reading] = {}
        self._masks: dict[int, SoftMask] = {}
        self._gains: dict[int, float | None] = {}

    def reading(self, seed: int = 0, *, training: bool = True, same: bool = False) -> Reading:
        """One watched pass, noise and inputs from the seed."""
        key = (seed, training, same)
        if key not in self._readings:
            self._readings[key] = self.subject.reading(seed, training=training, same=same)
        return self._readings[key]

    def other_noise(self, *, same: bool = False) -> Reading:
        """The inputs of seed 0 under another seed's noise, in train mode."""
        key = (-1, True, same)
        if key not in self._readings:
            from sdtps_ref.properties.watching.reading import read

            self._readings[key] = read(self.subject.run(0, training=True, same=same), 1)
        return self._readings[key]

    def mask(self, site: Site) -> SoftMask:
        """The soft mask behind the site's D."""
        if id(site) not in self._masks:
            self._masks[id(site)] = soft_mask(site)
        return self._masks[id(site)]

    def gain(self, reading: Reading, site: Site) -> float | None:
        """How many times too much D's gradient says."""
        if id(site) not in self._gains:
            self._gains[id(site)] = gain_of(removal(reading, site))
        return self._gains[id(site)]

    def returns_score(self, reading: Reading, site: Site) -> bool:
        """Whether the score, or what it is made of, is returned besides, to be trained by a loss of its own."""
        made = [reading.watched.watch.number_of(t) for t in reading.outputs if t.numel() == site.ranked.numel()]
        ranked = reading.watched.watch.number_of(site.ranked)
        return ranked is not None and any(n is not None and reading.graph.depends(ranked, n) for n in made)

    def names(self, tensors: list[Tensor]) -> list[str]:
        """What the module calls these parameters; inputs and others are not among them."""
        if self.subject.module is None:
            return []
        by_id = {id(parameter): name for name, parameter in self.subject.module.named_parameters()}
        return [by_id[id(tensor)] for tensor in tensors if id(tensor) in by_id]

    def temperatures(self) -> list[float]:
        """Numbers that the module holds under a temperature's name."""
        found: list[float] = []

        def look(name: str, value: Any, deep: bool = True) -> None:
            if re.fullmatch(r"(.*_)?(tau|temperature|temp)", name) and not name.startswith("log"):
                number = float(value) if isinstance(value, (int, float)) else _number(value)
                if number is not None and number > 0:
                    found.append(number)
            elif deep and not isinstance(value, (nn.Module, Tensor, type)):
                inside = value if isinstance(value, dict) else getattr(value, "__dict__", {})
                for inner, part in list(inside.items()) if len(inside) < 100 else ():
                    look(str(inner), part, deep=False)

        for part in self.subject.module.modules() if self.subject.module is not None else ():
            own = {name: value for name, value in vars(part).items() if not name.startswith("_")}
            for name, value in [
                *own.items(),
                *part.named_parameters(recurse=False),
                *part.named_buffers(recurse=False),
            ]:
                look(name, value)
        return found


def _number(value: Any) -> float | None:
    if isinstance(value, Tensor) and value.numel() == 1:
        return float(value.detach())
    return None


def first_difference(one: Watched, other: Watched, row: int | None = None, axis: int = 0) -> Call | None:
    """The first call whose result differs between two passes, be it in length; row: the sample of `one` that `other`
    holds alone, along that axis.

    None where the passes make different calls, or the same results all along.
    """
    for call, same in zip(one.calls, other.calls, strict=False):
        if call.name != same.name:
            return call
        for left, right in zip(call.tensors, same.tensors, strict=False):
            if left.dtype.is_floating_point:
                if row is not None and left.dim() > axis and left.shape != right.shape:
                    if left.dim() != right.dim() or right.shape[axis] != 1:
                        continue
                    left = left.select(axis, row).unsqueeze(axis)
                    if left.shape != right.shape:
                        return call
                if left.shape != right.shape or not torch.allclose(
                    left.detach(), right.detach(), rtol=1e-3, atol=1e-5, equal_nan=True
                ):
                    return call
    return None


def alone(subject: Subject, training: bool, row: int = 0, axis: int = 0) -> Watched | None:
    """A pass of one sample alone, samples lying along that axis; None where the arguments cannot be cut."""
    batch = samples_of(subject, axis)
    return some_of(subject, training, row % batch, 1, axis) if batch > 1 else None


def some_of(subject: Subject, training: bool, first: int, count: int, axis: int = 0) -> Watched | None:
    """A pass of so many samples from the first one on; None where the arguments cannot be cut, or not to so few."""
    args, kwargs = subject.inputs(0)
    batch = samples_of(subject, axis)

    def cut(value: Any) -> Any:
        if isinstance(value, Tensor) and value.dim() > axis and value.shape[axis] == batch:
            return value.narrow(axis, first, count)
        if isinstance(value, (list, tuple)) and len(value) == batch and not any(isinstance(v, Tensor) for v in value):
            return value[first : first + count]
        if isinstance(value, dict):
            return {name: cut(part) for name, part in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(cut(part) for part in value)
        return value

    small = Subject(subject.name, subject.callable, lambda seed: (cut(args), cut(kwargs)), subject.module)
    try:
        return watch(small.run(0, training=training), 0)
    except Exception:
        return None


def samples_of(subject: Subject, axis: int) -> int:
    """How many samples the arguments hold along that axis."""
    return max((t.shape[axis] for t in _tensors(*subject.inputs(0)) if t.dim() > axis), default=0)


def _tensors(*trees: Any) -> list[Tensor]:
    from sdtps_ref.properties.watching.record import tensors_in

    return [tensor for tree in trees for tensor in tensors_in(tree)]


def last_soft_weights(watched: Watched) -> SourceLine | None:
    """The line of the last softmax or sigmoid of a pass: the soft weights of a module that chooses nothing."""
    for call in reversed(watched.calls):
        if call.name in ("softmax", "sigmoid", "log_softmax", "scaled_dot_product_attention") and call.place:
            return call.place
    return None


__all__ = ["Passes", "alone", "first_difference", "last_soft_weights", "nn"]
