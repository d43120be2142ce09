"""The user's own call on tokens that require no gradient, as those of a frozen backbone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.laws.call.reading_of import CALL, passes_of
from sdtps_ref.properties.watching.record import Watched, watch

ROUNDING = 1e-5  # of the largest gradient


@law(needs="call", domain=CALL)
def parameters_learn_from_frozen_tokens(probe: Probe) -> None:
    """A parameter that a gradient reaches gets it also where nothing that is passed in requires one.

    Why: with a frozen backbone, or on features from a file, no input requires a gradient, and this module is all that
    is trained. Where the graph is kept for the inputs' sake alone, the loss stays where it was.
    Breaks when: a part runs under `set_grad_enabled(tokens.requires_grad)`, or in a checkpoint of the reentrant kind,
    which records nothing for inputs without a gradient.
    Remedy: leave it to autograd, which asks the parameters too; `checkpoint(..., use_reentrant=False)`.
    """
    passes = passes_of(probe)
    module, reading = passes.subject.module, passes.reading()
    if module is None or reading.loss() is None:
        raise Unsupported("nothing that is returned has a gradient, or a function has no parameters")
    sizes = {name: reading.size(p) for name, p in module.named_parameters() if p.requires_grad}
    least = ROUNDING * max(sizes.values(), default=0.0)  # a bias that only shifts a softmax has rounding for a gradient
    named = {name: p for name, p in module.named_parameters() if sizes.get(name, 0.0) > least}
    again = watch(passes.subject.run(0, frozen=True), 0)
    if not named or [call.name for call in again.calls] != [call.name for call in reading.watched.calls]:
        raise Unsupported("no parameter is trained, or other calls are made for inputs without a gradient")
    loss = reading.loss(again)
    slopes: Sequence[torch.Tensor | None] = [None] * len(named)
    if loss is not None and loss.requires_grad:
        slopes = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    lost = [name for (name, _), slope in zip(named.items(), slopes, strict=True) if slope is None or not slope.any()]
    if not lost:
        return
    more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
    raise Violation(
        f"{lost[0]}{more} get{'' if more else 's'} no gradient where the inputs require none",
        where=_where_lost(again, named[lost[0]]),
        effect="with a frozen backbone, or on features from a file, this part is never trained",
        fix="leave it to autograd whether a graph is kept; checkpoint(..., use_reentrant=False)",
    )


def _where_lost(watched: Watched, parameter: nn.Parameter) -> SourceLine | None:
    """The line that uses the parameter, and makes a result without a gradient of it."""
    uses = [call for call in watched.calls if any(t is parameter for t in call.outside)]
    return next((call.place for call in uses if not any(t.requires_grad for t in call.tensors)), None)
