"""Choices that are drawn, in the user's own call."""

from __future__ import annotations

import torch
from torch import Tensor

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, passes_of
from sdtps_ref.properties.watching.record import Call


@law(needs="call", level="SHOULD", domain=CALL)
def logits_are_drawn_from(probe: Probe) -> None:
    """`gumbel_softmax` is given logits, and not probabilities, whose logarithm it would have to take.

    Why: Gumbel noise is added to logits. Between 0 and 1 nothing outweighs it: of two choices the likelier one is taken
    73 % of the time at most, however sure the network is, and no ratio outside 27 to 73 % can be reached.
    Breaks when: the last layer's softmax or sigmoid stays where logits are wanted.
    Remedy: hand over the logits, or `probabilities.clamp_min(1e-8).log()`.
    """
    calls = [call for call in passes_of(probe).reading().watched.calls if call.name == "gumbel_softmax" and call.read]
    if not calls:
        raise Unsupported("nothing is drawn by gumbel_softmax")
    for call in calls:
        if _are_probabilities(call):
            most = torch.sigmoid(torch.ones(())).item()
            raise Violation(
                "gumbel_softmax is given probabilities, and adds its noise as if they were logits",
                where=call.place,
                effect=f"of two choices the likelier one is taken {most:.0%} of the time at most, however sure the "
                "network is",
                fix="hand over the logits, or probabilities.clamp_min(1e-8).log()",
            )


def _are_probabilities(call: Call) -> bool:
    """Whether what is drawn from lies between 0 and 1 and sums to one along the axis that is drawn over."""
    given: Tensor = call.read[0].detach().float()
    dim = call.argument(4, "dim", -1)
    if given.dim() == 0 or not isinstance(dim, int) or given.shape[dim] < 2:
        return False
    sums = given.sum(dim)
    rounding = max(1e-4, 4 * torch.finfo(call.read[0].dtype).eps) if call.read[0].is_floating_point() else 0.0
    return bool((given >= 0).all() and (given <= 1).all() and ((sums - 1).abs() < rounding).all())


@law(needs="call", level="SHOULD", domain=CALL)
def no_token_is_drawn_twice(probe: Probe) -> None:
    """Of K tokens that are drawn, no two are the same one.

    Why: a token that takes two places leaves K - 1 different ones, fewer the surer the score is; in eval mode, where
    the K highest are taken, there are K.
    Breaks when: `torch.multinomial(..., replacement=True)` or several draws of one token each choose the tokens.
    Remedy: `replacement=False`, or the K highest of score + Gumbel noise, which is a draw without replacement.
    """
    reading = passes_of(probe).reading()
    drawn = [site.choice for site in reading.sites if site.choice.name == "multinomial" and site.choice.tensors]
    if not drawn:
        raise Unsupported("no tokens are drawn by multinomial")
    for call in drawn:
        places = call.tensors[0]
        if places.dim() != 2 or places.shape[-1] < 2:
            continue
        least = min(len(row.unique()) for row in places)
        if least < places.shape[-1]:
            raise Violation(
                f"tokens are drawn with replacement: of {places.shape[-1]} places only {least} hold different tokens",
                where=call.place,
                effect="fewer than K tokens are kept while training, fewer the surer the score is",
                fix="torch.multinomial(p, k, replacement=False)",
            )
