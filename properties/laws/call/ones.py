"""Weights of what the user's own call keeps: a weight that is always one teaches nothing."""

from __future__ import annotations

from torch import Tensor

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, passes_of
from sdtps_ref.properties.watching.alignment import PICKS
from sdtps_ref.properties.watching.forms import PRODUCTS
from sdtps_ref.properties.watching.graph import SAME_NUMBERS
from sdtps_ref.properties.watching.normalising import normalised, picked_by, scores_of, slopes, task_of
from sdtps_ref.properties.watching.reading import Reading

NOTHING = 1e-3  # of the gradient that reaches the weights: what rounding leaves of it


@law(needs="call", domain=CALL)
def one_of_one_is_one(probe: Probe) -> None:
    """The weight of a kept entry depends on its score, also where a single one is kept.

    Why: what is divided by its own sum is 1, and so is the softmax of a single logit, whatever the score is. No
    gradient comes from what was chosen, and the score is never trained by the task; a balancing loss is all it learns
    from.
    Breaks when: `p / p.sum(-1, keepdim=True)` or a softmax is taken over the kept entries, and K is 1.
    Remedy: with K = 1 weigh by p itself, the softmax over all entries, and do not renormalise.
    """
    reading = passes_of(probe).reading()
    for call in reading.watched.calls:
        given = normalised(reading, call)
        if given is None or call.place is None:
            continue
        for site in reading.sites:
            if site.kind == "given" or not reading.graph.depends(call.number, site.choice.number):
                continue
            if not picked_by(reading, site, given):
                continue
            outputs = task_of(reading, call)
            scores = scores_of(reading, site)
            at, *behind = slopes(outputs, [call.tensors[0], *scores])
            if scores and at > 0 and max(behind) <= NOTHING * at:
                raise Violation(
                    f"the weights of what is kept are brought to a sum of one, each alone (by {call.name}): "
                    "they are 1 whatever the scores are",
                    where=call.place,
                    effect="no gradient reaches the score from what was chosen: the task never trains it",
                    fix="where one entry is kept, weigh it by its share of all: do not renormalise",
                )


@law(needs="call", domain=CALL)
def softmax_is_over_several(probe: Probe) -> None:
    """A softmax of scores runs over the tokens, not over an axis of one that was added behind them.

    Why: the softmax of a single number is 1. What was to be weighted by its scores is summed up instead, and no
    gradient reaches them.
    Breaks when: scores are B N 1, of a layer with one output or after `unsqueeze(-1)`, and `dim=-1` is kept.
    Remedy: `scores.softmax(dim=1)`, or squeeze them first.
    """
    reading = passes_of(probe).reading()
    for call in reading.watched.calls:
        if call.name not in ("softmax", "log_softmax") or not call.read or not call.read[0].requires_grad:
            continue
        scores, axis = call.read[0], call.argument(1, "dim")
        if not isinstance(axis, int) or scores.dim() < 2 or scores.shape[axis] != 1 or scores.numel() <= len(scores):
            continue
        if axis in (-1, scores.dim() - 1) and _is_added_behind(reading, scores):
            raise Violation(
                f"the softmax of scores of shape {tuple(scores.shape)} runs over the axis of one: every weight is 1",
                where=call.place,
                effect="what was to be weighted is summed up, and no gradient reaches these scores",
                fix="softmax over the tokens: scores.softmax(dim=1)",
            )


def _is_added_behind(reading: Reading, scores: Tensor) -> bool:
    """Whether the last axis was added to a score for each token, and is no single key or class."""
    number = reading.watched.watch.number_of(scores)
    while number is not None:
        call = reading.watched.calls[number]
        if call.name == "unsqueeze":
            return call.argument(1, "dim") in (-1, scores.dim() - 1)
        if call.name == "linear":
            return len(call.args) > 1 and call.args[1].shape[0] == 1
        if call.name not in (*SAME_NUMBERS, *PICKS, *PRODUCTS, "__truediv__", "div") or not call.inputs:
            return False
        number = call.inputs[0]
    return False
