"""Parameters of the user's own module that start at zero, and whether they can leave it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.values import draw
from sdtps_ref.properties.laws.call.reading_of import CALL, passes_of
from sdtps_ref.properties.watching.starting import where_started
from sdtps_ref.properties.watching.stepping import next_call
from sdtps_ref.properties.watching.subject import Subject

STEPS = 6  # of SGD
FAR = 0.05  # by which a step moves a parameter's entries, in the mean
MOST = 6  # of them, of which a pair is looked for
SMALL = 0.02  # standard deviation of what others are set to
LEAST = 1e-5  # of the largest gradient of any parameter, more than rounding leaves

Slopes = dict[str, Tensor | None]


@law(needs="call", domain=CALL)
def parameters_can_leave_zero(probe: Probe) -> None:
    """Of two parameters that multiply each other, one at most starts at zero.

    Why: the gradient of each is a multiple of the other. Where both are zero, both gradients are exactly zero, and
    stay so in every step of training: what they make is nothing, for ever, and nothing says so.
    Breaks when: both matrices of a LoRA start at zero, or a gate of zero stands before a layer that starts at zero.
    Remedy: start one of them at zero and the other one as usual: `nn.init.kaiming_uniform_(self.down.weight)`.
    """
    subject = passes_of(probe).subject.fresh()
    if subject is None or subject.module is None:
        raise Unsupported("the module cannot be copied")
    trained = {name: p for name, p in subject.module.named_parameters() if p.requires_grad and p.numel()}
    dead = [name for name, p in trained.items() if not p.detach().any()]
    for step in range(STEPS if dead else 0):
        slopes = _slopes(subject, trained, step)
        dead = [name for name in dead if slopes[name] is not None and not slopes[name].any()]  # type: ignore[union-attr]
        if len(dead) < 2:
            return
        _descend(trained, slopes)
    held = _held_by_each_other(subject, trained, dead, dead)
    if len(held) < 2:
        return
    one, other = _pair(subject, trained, held)
    lines = where_started(subject, [one, other])
    raise Violation(
        f"{one} and {other}"
        + (f" and {len(held) - 2} more" if len(held) > 2 else "")
        + " start at zero and multiply each other: the gradient of each is exactly zero while the other is",
        where=lines[0] if lines else None,
        effect="they stay zero in every step of training: what they make is never trained",
        fix=f"start {one} as usual, as by nn.init.normal_(..., std=0.02), and leave {other} at zero",
    )


def _pair(subject: Subject, trained: dict[str, nn.Parameter], held: list[str]) -> tuple[str, str]:
    """The first two of which one gets a gradient by the other alone; the first two where it takes more."""
    for one in held[:MOST]:
        for other in held[:MOST]:
            if one != other and one in _held_by_each_other(subject, trained, [one], [other]):
                return one, other
    return held[0], held[1]


def _slopes(subject: Subject, trained: dict[str, nn.Parameter], seed: int) -> Slopes:
    """The gradients of a random loss on all that a training call returns. Raises Unsupported where there is none."""
    watched = next_call(subject, seed)
    outputs = [t for t in watched.outputs if t.requires_grad and t.numel()]
    if not outputs:
        raise Unsupported("nothing that is returned has a gradient")
    cotangents = [draw("normal", tuple(t.shape), 31 + seed + i).to(t) for i, t in enumerate(outputs)]
    try:
        found = torch.autograd.grad(outputs, list(trained.values()), cotangents, allow_unused=True)
    except RuntimeError as error:
        raise Unsupported("its backward pass raises") from error
    if any(slope is not None and not slope.isfinite().all() for slope in found):
        raise Unsupported("its gradients are not finite")
    return dict(zip(trained, found, strict=True))


def _descend(trained: dict[str, nn.Parameter], slopes: Slopes) -> None:
    """A step of SGD, as far for each parameter as makes a difference; none for what has a gradient of zero."""
    with torch.no_grad():
        for name, parameter in trained.items():
            slope = slopes[name]
            if slope is not None and slope.any():
                parameter.sub_(FAR * slope / slope.abs().mean().clamp_min(1e-30))


def _held_by_each_other(
    subject: Subject, trained: dict[str, nn.Parameter], dead: list[str], others: list[str]
) -> list[str]:
    """Those of the dead that get a gradient as soon as the others are no more zero, in the order of the module."""
    held = []
    for seed, name in enumerate(dead):
        with _moved([trained[other] for other in others if other != name], seed):
            slopes = _slopes(subject, trained, 0)
        sizes = {other: float(slope.norm()) for other, slope in slopes.items() if slope is not None}
        if sizes.get(name, 0.0) > LEAST * max(sizes.values()):
            held.append(name)
    return held


@contextmanager
def _moved(parameters: list[nn.Parameter], seed: int) -> Iterator[None]:
    """With small random numbers in place of zeros."""
    try:
        with torch.no_grad():
            for i, parameter in enumerate(parameters):
                parameter.copy_(SMALL * draw("normal", tuple(parameter.shape), 100 * seed + i))
        yield
    finally:
        with torch.no_grad():
            for parameter in parameters:
                parameter.zero_()
