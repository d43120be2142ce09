"""The token that is appended for what was dropped, in the user's own call."""

from __future__ import annotations

import torch
from torch import Tensor

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, decided
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call
from sdtps_ref.properties.watching.sites import Site


@law(needs="call", depends="call.decision_is_hard", domain=CALL)
def extra_token_is_of_the_dropped(probe: Probe) -> None:
    """The token that is appended after the slots is softmax(score of the dropped tokens) @ the dropped tokens.

    Why: it is there for what the slots cannot see. Made of the kept tokens it repeats them, and what was dropped is
    lost.
    Breaks when: the indices of the kept tokens are used where those of the others are meant, the mask is turned, or the
    kept tokens' scores are multiplied by 0: a softmax gives weight to 0, and none to minus infinity alone.
    Remedy: `order[:, keep:]`, the ranks that were not kept, for scores and tokens alike.
    """
    reading, sites = decided(probe)
    for site in sites:
        call = _summary_of_kept(reading, site)
        if call is not None:
            share = _share_of_kept(call, site)
            if share is not None:
                raise Violation(
                    f"{share:.0%} of the extra token is of kept tokens: they have a score of 0 in its softmax, and not "
                    "minus infinity",
                    where=call.place,
                    effect="what was dropped counts the less for it, and the kept tokens count twice",
                    fix="score.masked_fill(hard > 0, -torch.inf).softmax(dim=-1)",
                )
            raise Violation(
                "the extra token is made of the kept tokens, which the slots hold already, and not of the dropped ones",
                where=call.place,
                effect="what was dropped is lost, and the kept tokens count twice",
                fix="gather scores and tokens of the extra token at the dropped positions: order[:, keep:]",
            )


def _summary_of_kept(reading: Reading, site: Site) -> Call | None:
    """The softmax over the kept tokens' scores whose token is appended to slots that D pools."""
    graph, calls = reading.graph, reading.watched.calls
    if site.score_call is None or site.decision_call is None or site.decision is None:
        return None
    if site.score.dim() != 2 or site.decision.shape != site.score.shape:
        return None
    kept = site.score.detach()[0][site.decision.detach()[0] > 0.5]
    for number in graph.descendants(site.score_call.number):
        call = calls[number]
        if call.name != "softmax" or graph.depends(number, site.decision_call.number):
            continue
        given = call.read[0].detach()
        if given.dim() != 2:
            continue
        whole = _on_these(call.tensors[0], site.decision) or _share_of_kept(call, site) is not None
        if not (whole or _of_these(given[0], kept)):
            continue
        if any(_appends(reading, calls[n], number, site.decision_call.number) for n in graph.descendants(number)):
            return call
    return None


def _of_these(given: Tensor, kept: Tensor) -> bool:
    return len(given) == len(kept) and bool(torch.isin(given.double(), kept.double()).all())


def _on_these(weights: Tensor, decision: Tensor) -> bool:
    """Whether weights over all tokens are zero for the dropped ones, and for no kept one."""
    return weights.shape == decision.shape and torch.equal(weights.detach() > 0, decision.detach() > 0.5)


def _share_of_kept(call: Call, site: Site) -> float | None:
    """The weight of the kept tokens, where their scores were made 0 and the others' left; None where they were not."""
    assert site.decision is not None
    given, kept = call.read[0].detach(), site.decision.detach() > 0.5
    if given.shape != kept.shape or not kept.any() or given[kept].any() or not given[~kept].any():
        return None
    if not torch.equal(given[~kept], site.score.detach()[~kept]):
        return None
    return float((call.tensors[0].detach() * kept).sum(-1).mean())


def _appends(reading: Reading, call: Call, summary: int, decision: int) -> bool:
    """Whether the call joins something made of the summary, and not of D, to something made of D."""
    if call.name not in ("cat", "concat", "concatenate") or not call.inputs:
        return False
    graph = reading.graph
    alone = [n for n in call.inputs if graph.depends(n, summary) and not graph.depends(n, decision)]
    return bool(alone) and any(graph.depends(n, decision) for n in call.inputs)
