"""Weights of what the user's own call keeps: a weight that is always one teaches nothing."""

from __future__ import annotations

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, passes_of
from sdtps_ref.properties.watching.normalising import normalised, picked_by, scores_of, slopes, task_of

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
