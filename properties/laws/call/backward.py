"""The backward pass of the user's own call: it is settled by the forward pass that was made."""

from __future__ import annotations

import inspect
import linecache
import math
import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.laws.call.reading_of import CALL, decided, passes_of
from sdtps_ref.properties.watching.graph import RANDOM
from sdtps_ref.properties.watching.passes import Passes
from sdtps_ref.properties.watching.reading import Reading, read

SAME = 1e-3  # of a gradient's length


@law(needs="call", depends="call.repeats", domain=CALL)
def backward_draws_nothing(probe: Probe) -> None:
    """The gradient is settled by the forward pass: neither the generator's state before `backward` nor an earlier call
    changes it.

    Why: checkpointing makes the forward pass a second time. With new noise it keeps other tokens, and the gradient is
    that of a selection that the loss was not computed with. Nothing says so.
    Breaks when: `checkpoint(..., preserve_rng_state=False)` runs code that draws, a backward pass of one's own draws,
    or every call registers one more hook.
    Remedy: leave `preserve_rng_state` as it is, or draw the noise outside of what is checkpointed.
    """
    passes = passes_of(probe)
    decided(probe)
    run = passes.subject.run(0, training=True)  # of one starting state for all
    one, same, other = (_slopes(passes, run, seed) for seed in (1, 1, 2))
    moved = sum(float((a - b).norm()) for a, b in zip(one, other, strict=False))
    size = sum(float(a.norm()) for a in one)
    if not one or not math.isfinite(size) or moved <= SAME * size:
        return
    again = sum(float((a - b).norm()) for a, b in zip(one, same, strict=False))
    if again > SAME * size:
        raise Violation(
            "the same call has another gradient every time it is made, though its output is the same",
            where=_where_hooked(passes),
            effect="the gradient is no longer that of the loss, and gets further from it with every step",
            fix="register hooks once, when the module is made, and remove those that are made in a call",
        )
    raise Violation(
        "the backward pass draws noise of its own: the same call and loss have another gradient when the generator "
        "has moved on",
        where=_where_checkpointed(passes.reading()),
        effect="the gradient is that of another selection than the one that the loss was computed with",
        fix="checkpoint(function, x, use_reentrant=False): it restores the generator's state by itself",
    )


def _slopes(passes: Passes, run: Callable[[], Any], seed: int) -> list[Tensor]:
    """The gradients of the parameters and inputs, the generator seeded anew between the two passes."""
    reading = read(run, 0)
    loss = reading.loss()
    module = passes.subject.module
    owned: list[Tensor] = list(module.parameters()) if module is not None else []
    leaves = [p for p in owned if p.requires_grad] or [
        t for call in reading.watched.calls for t in call.outside if t.requires_grad and t.is_leaf
    ]
    if loss is None or not leaves:
        return []
    torch.manual_seed(seed)
    found = torch.autograd.grad(loss, leaves, allow_unused=True)
    return [torch.zeros_like(t) if g is None else g.detach() for t, g in zip(leaves, found, strict=True)]


def _where_hooked(passes: Passes) -> SourceLine | None:
    """The line of the module's classes that registers a hook."""
    module = passes.subject.module
    for owner in dict.fromkeys(type(part) for part in module.modules()) if module is not None else ():
        try:
            lines, first = inspect.getsourcelines(owner)
        except (TypeError, OSError):
            continue
        for number, line in enumerate(lines):
            if re.search(r"register_\w*hook\(", line) and not owner.__module__.startswith("torch"):
                return SourceLine(inspect.getsourcefile(owner) or "", first + number)
    return None


def _where_checkpointed(reading: Reading) -> SourceLine | None:
    """The line that checkpoints what draws, where it can be seen, else the line that draws."""
    draws = [call for call in reading.watched.calls if call.name in (*RANDOM, "dropout")]
    for call in draws:
        for _, place in call.stack:
            text = "".join(linecache.getline(place.file, place.line + n) for n in (0, 1, 2))
            if "checkpoint" in text:
                return place
    return draws[0].place if draws else None
