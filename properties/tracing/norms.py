"""Gradient norms by part of a module: with its own mask, with log D in its place, and without D."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sdtps_ref.errors import SDTPSError
from sdtps_ref.properties.reference import Reference
from sdtps_ref.properties.watching.choosing import is_hard
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import tensors_in
from sdtps_ref.properties.watching.removal import gain_of, removal
from sdtps_ref.properties.watching.subject import Subject

PUBLISHED_LOG = 4_122_861_332  # the gradient norm that a published test log shows and marks as normal
FORMS = ("its own mask", "log D", "no D")


class NoDecision(SDTPSError):
    """No D with a gradient was seen, so that there is nothing to compare."""


@dataclass(frozen=True)
class Norms:
    """parts: for each part of the model, the norm under each of FORMS; `all` is all of them together."""

    parts: dict[str, tuple[float, float, float]]
    gain: float | None
    told: str


def published(sizes: dict[str, int]) -> Subject:
    """The published form at a size (B N K C M): score predictor's place is taken by a score that is handed over."""
    batch, tokens, keep, dim, slots = (sizes[axis] for axis in "BNKCM")
    module = Reference(mask="subtract").pipeline(dim=dim, num_tokens=tokens, keep=keep, slots=slots, tau=1.0)

    def make(seed: int) -> tuple[list[Any], dict[str, Any]]:
        generator = torch.Generator().manual_seed(seed)
        shapes = ((batch, tokens, dim), (batch, tokens))
        return [torch.randn(shape, generator=generator) for shape in shapes], {}

    return Subject("published", module, make, module, "the published form: TokenSparse and TokenAggregation")


def measure(subject: Subject, seed: int = 0) -> Norms:
    """Three passes with the same parameters, inputs and noise; the loss is half the sum of the squares of all outputs.

    "log D" hands on D's gradient divided by the gain of its own mask: log D has a gain of one. Raises NoDecision.
    """
    args, kwargs = subject.inputs(seed)
    reading = _reading(subject, args, kwargs, seed)
    sites = [site for site in reading.sites if site.decision is not None and site.decision_call is not None]
    if not sites:
        raise NoDecision(f"given {subject.told or subject.name}; accepted: a module with a D that carries a gradient")
    gains = {id(site): gain_of(removal(reading, site)) or 1.0 for site in sites}
    found = []
    for form in FORMS:
        answers = {} if form == FORMS[0] else {
            site.decision_call.number: _answer(0.0 if form == "no D" else 1 / gains[id(site)])
            for site in sites if site.decision_call is not None
        }  # fmt: skip
        found.append(_norms(subject.module, reading.again(answers).output, args, kwargs))
    parts = {name: (found[0][name], found[1][name], found[2][name]) for name in found[0]}
    return Norms(parts, max(gains.values()), subject.told)


def _reading(subject: Subject, args: Any, kwargs: Any, seed: int) -> Reading:
    from sdtps_ref.properties.watching.reading import read

    fixed = Subject(subject.name, subject.callable, lambda _: (args, kwargs), subject.module)
    fixed.inputs = lambda *_, **__: (args, kwargs)  # type: ignore[method-assign]
    return read(fixed.run(seed), seed)


def _answer(share: float) -> Callable[[Any], Any]:
    """D with the same value and `share` of its gradient."""

    def answer(result: Any) -> Any:
        if not isinstance(result, Tensor):
            return result
        own = result.detach()
        return own + (result - own) * share if share else own

    return answer


def _norms(module: nn.Module | None, output: Any, args: Any, kwargs: Any) -> dict[str, float]:
    outputs = [t for t in tensors_in(output) if t.is_floating_point() and t.requires_grad and not is_hard(t)]
    loss = torch.stack([t.double().square().sum() for t in outputs]).sum() / 2
    inputs = {id(t): (name, t) for name, value in _passed(module, args, kwargs) for t in tensors_in(value)}
    passed = [(name, t) for name, t in inputs.values() if t.requires_grad]
    named = list(module.named_parameters()) if module is not None else []
    tensors = [*(p for _, p in named), *(t for _, t in passed)]
    names = [*(name.partition(".")[0] for name, _ in named), *(name for name, _ in passed)]
    slopes = torch.autograd.grad(loss, tensors, allow_unused=True)
    squares = dict.fromkeys([*names, "all"], 0.0)
    for name, slope in zip(names, slopes, strict=True):
        size = 0.0 if slope is None else float(slope.double().norm()) ** 2
        squares[name] += size
        squares["all"] += size
    return {name: square**0.5 for name, square in squares.items()}


def _passed(module: nn.Module | None, args: Any, kwargs: Any) -> list[tuple[str, Any]]:
    """What was passed in, by the names that the module's forward gives it."""
    names = list(inspect.signature(module.forward).parameters) if module is not None else []
    names += [f"argument {n + 1}" for n in range(len(names), len(args))]
    return [(f"({name})", value) for name, value in [*zip(names, args, strict=False), *kwargs.items()]]
