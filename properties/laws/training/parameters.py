"""Everything that is registered is trained, and what chooses is trained by what was chosen."""

from typing import Any

import torch
from torch import Tensor, nn

from sdtps_ref.properties.kit import values
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.execution_modes import count_trainable
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.signals.model import (
    built_model,
    leaves,
    objective,
    own_inputs,
    parameters,
    run,
    short,
    tensors,
)

# With K = 1, or with nothing dropped and one slot, some gradients are rightly zero; in few channels a ReLU
# may be dead for every token. Sizes are all different, so that a shape tells what a tensor is.
TRAINED = Domain(fixed=(Case(batch=4, num_tokens=9, keep=5, dim=32, slots=3), Case(4, 12, 3, 24, 2, tau=0.5, seed=1)))


@law(needs="model", depends="gradient.reaches_score", domain=TRAINED)
def everything_is_trained(probe: Probe) -> None:
    """d(output)/d(parameter) is neither None nor zero, for every trainable parameter and every floating input.

    Why: a part without a gradient stays as it was initialised, while the loss falls because the others
    learn. A score network that nobody trains makes a random selection, for good. Inputs that are one
    number or a mask (only 0 and 1) are left out, and a gradient of zero, though not None, is right for a
    bias that only shifts a softmax.
    Breaks when: the score network is built and never called, its prediction is computed and dropped, the
    selection runs under no_grad or on a detached score, D is not passed on to the aggregation, or a layer
    hides in a list or a closure, where `parameters()` does not find it.
    Remedy: follow the score from the network through D into the aggregator's mask; keep layers as
    attributes, in nn.ModuleList or nn.ModuleDict; delete what is not used.
    """
    module, inputs = built_model(probe)
    owned = own_inputs(probe, inputs)
    outputs = run(probe, module, owned)
    named = parameters(probe, module)
    _expect_registered(probe, module, outputs, named)
    sources = {f"parameter {name!r}": p for name, p in named.items()}
    for place, value in tensors(owned, "model[1]"):
        if value.requires_grad and value.numel() > 1 and not ((value == 0) | (value == 1)).all():
            sources[f"input {short(place)!r}"] = value

    _expect_gradients(probe, outputs, sources)
    # A score or a D among the outputs reaches the score network by itself, which no pooled token does.
    pooled = {where: out for where, out in outputs.items() if not _is_a_row(probe, out)}
    if pooled and len(pooled) < len(outputs):
        _expect_what_chooses_is_trained(probe, module, owned, pooled, named)


def _expect_registered(probe: Probe, module: Any, outputs: dict[str, Tensor], registered: dict[str, Tensor]) -> None:
    """Whatever parameter takes part in the output is one that an optimiser is told of."""
    if not isinstance(module, nn.Module):
        return
    known = {id(parameter) for parameter in registered.values()}
    hidden = [
        leaf for leaf in leaves(list(outputs.values())) if isinstance(leaf, nn.Parameter) and id(leaf) not in known
    ]
    if hidden:
        told = probe.define("told", count_trainable, module)
        raise Violation(
            f"{len(hidden)} parameters take part in the output and are not among module.parameters() (the first has "
            f"shape {tuple(hidden[0].shape)}), but should be: no optimiser will train them",
            check=told >= len(registered) + len(hidden),
        )


def _expect_gradients(probe: Probe, outputs: dict[str, Tensor], sources: dict[str, Tensor]) -> None:
    total = objective(probe, outputs)
    gradients = dict(zip(sources, probe.gradients(total, list(sources.values())), strict=True))
    for name, gradient in gradients.items():
        if gradient is not None and (gradient.any() or gradient.ndim < 2):
            continue
        # A bias moves a softmax by nothing: zero is then its gradient. It must have one all the same.
        untrained = [
            other for other, found in gradients.items() if found is None or not (found.any() or found.ndim < 2)
        ]
        what = "no gradient (None)" if gradient is None else "a gradient of zero in every entry"
        why = "no path leads from the output to it" if gradient is None else "nothing of the output depends on it"
        raise Violation(
            f"{name} receives {what} from the model's output, but should receive one: {why} "
            f"(so it is with {len(untrained)} of {len(sources)}: {', '.join(untrained[:6])}"
            f"{', ...' if len(untrained) > 6 else ''})",
            check=_gradient_check(probe, total, sources[name]),
        )


def _expect_what_chooses_is_trained(
    probe: Probe, module: Any, inputs: dict[str, Any], pooled: dict[str, Tensor], named: dict[str, Tensor]
) -> None:
    """A parameter that decides which tokens are pooled gets a gradient from the pooled tokens."""
    total = objective(probe, pooled)
    for name, gradient in zip(named, probe.gradients(total, list(named.values())), strict=True):
        parameter = named[name]
        if gradient is not None and (gradient.any() or gradient.ndim < 2):
            continue
        kept = parameter.detach().clone()
        with probe.unrecorded():
            parameter.data.copy_(values.draw("huge", tuple(kept.shape), 1) / 1e3)
        try:
            after = run(probe, module, inputs)
        finally:
            with probe.unrecorded():
                parameter.data.copy_(kept)
        if any(
            where not in _renamed(after) or not torch.equal(_renamed(after)[where], out)
            for where, out in _renamed(pooled).items()
        ):
            raise Violation(
                f"parameter {name!r} decides which tokens are pooled, yet receives no gradient from the pooled tokens, "
                "but should: only a score or a D among the outputs reaches it, so D is not passed on to the pooling",
                check=_gradient_check(probe, total, parameter),
            )


def _renamed(outputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """By their place within the output, whatever the script calls the output."""
    return {where.partition("[")[2] + where.partition(".")[2]: part.detach() for where, part in outputs.items()}


def _is_a_row(probe: Probe, output: Tensor) -> bool:
    """Whether it holds one number a token, as scores and decisions do."""
    counts = (probe.case.num_tokens, probe.case.keep)
    return output.ndim >= 2 and output[0].numel() in counts and max(output.shape[1:]) in counts


def _gradient_check(probe: Probe, total: Tensor, source: Tensor) -> Tensor:
    """True where the gradient is not zero."""
    return probe.gradient(total, source, probe.given("one", torch.ones_like(total))).any()
