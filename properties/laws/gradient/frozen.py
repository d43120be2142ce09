"""Gradients of the parameters where tokens and scores have none of their own.

A part of `gradient`.
"""

import torch
from torch import nn

from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.signals.model import parameters

ROUNDING = 1e-5  # of the largest gradient
FEW = Domain(fixed=(Case(3, 12, 5, 16, 3, scores="distinct"), Case(2, 9, 4, 8, 2, tau=0.5, scores="distinct", seed=1)))


@law(needs="aggregator|pipeline|branches", depends="gradient.is_finite", domain=FEW)
def parameters_learn_from_frozen_tokens(probe: Probe) -> None:
    """d(pooled tokens)/d(parameter) is there also where neither tokens nor score require a gradient.

    Why: with a frozen backbone nothing that comes in requires one, and what pools is all that is trained. Where the
    graph is kept for the tokens' sake alone, the loss stays where it was from the first step on.
    Breaks when: the logits are computed under `set_grad_enabled(tokens.requires_grad)`, or a checkpoint of the
    reentrant kind is wrapped around them, which records nothing for inputs without a gradient.
    Remedy: leave it to autograd, which asks the parameters too; `checkpoint(..., use_reentrant=False)`.
    """
    methods = [method for method in ("aggregator", "pipeline", "branches") if method in probe.methods]
    built_by = {method: probe.build(method) for method in methods}
    modules = {method: built for method, built in built_by.items() if isinstance(built, nn.Module)}
    learning = [(method, built) for method, built in modules.items() if parameters(probe, built)]
    if not learning:
        raise Unsupported("what pools is no module with parameters")
    for method, built in learning:
        if method == "aggregator":
            kept = probe.tokens[:, : probe.case.keep]
            given = {"kept": kept, "decision": torch.ones_like(kept[:, :, 0])}
        else:
            given = {"tokens": probe.tokens, "score": probe.score}
            if method == "branches":
                given["other_score"] = probe.score.flip(-1)
        frozen = [probe.given(f"frozen_{name}", part) for name, part in given.items()]
        free = [probe.given(f"free_{name}", part, requires_grad=True) for name, part in given.items()]
        pooled = probe.call(built, *frozen, name="pooled")
        cotangent = probe.random(pooled)
        beside = probe.call(built, *free, name="beside")
        owned = {name: probe.gradient(beside, part, cotangent) for name, part in parameters(probe, built).items()}
        largest = max(float(owed.abs().amax()) for owed in owned.values())
        for name, parameter in parameters(probe, built).items():
            if float(owned[name].abs().amax()) <= ROUNDING * largest:
                continue  # a bias that only shifts a softmax has rounding for a gradient
            seen = probe.gradient(pooled, parameter, cotangent)
            if not seen.any():
                raise Violation(
                    f"the {method}'s parameter {name!r} gets no gradient where tokens and score require none, but "
                    "should: it gets one where they do",
                    check=seen.any(),
                )
