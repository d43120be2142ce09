"""The form that a selection has: where D meets something else for the first time, and by which operation."""

from __future__ import annotations

from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call
from sdtps_ref.properties.watching.roads import has_own_backward
from sdtps_ref.properties.watching.sites import Site
from sdtps_ref.properties.watching.weighing import weights_of

SUMS = ("add", "sub", "__add__", "__sub__", "__radd__", "__rsub__", "rsub", "__iadd__", "__isub__", "add_", "sub_")
PRODUCTS = ("mul", "__mul__", "__rmul__", "mul_", "__imul__", "multiply")
SOFTENS = ("softmax", "sigmoid", "gumbel_softmax")
CONTRACTIONS = ("matmul", "__matmul__", "bmm", "einsum", "baddbmm")

PUBLISHED = "published pooling: D masks the logits of a softmax over the kept tokens"
MASKED = "D masks the logits of an attention over all tokens"
RETURNED = "a selector: D is returned beside the kept tokens"
TIMES = "tokens times D"
WEIGHTS = "D on the weights after the softmax"
POLICY = "D in a policy softmax"
GIVEN = "an aggregator: D is passed in"
HARD = "a hard choice without D"
WEIGHED = "kept tokens weighted by their own scores, without D"
OWN = "a choice with a backward pass of its own, as perturbed top-K has"
OTHER = "D acts in a form of its own"


def form_of(reading: Reading, site: Site) -> str:
    """The form, in words. One that is not known is no fault: laws that are true of every form are judged."""
    if site.kind == "given":
        return GIVEN
    if site.decision is None or site.decision_call is None:
        if has_own_backward(reading, site):
            return OWN
        return WEIGHED if weights_of(reading, site) else HARD
    meeting = meeting_of(reading, site.decision_call)
    if meeting is None:
        return RETURNED
    graph, calls = reading.graph, reading.watched.calls
    if meeting.name in SUMS:
        softmax = any(calls[n].name == "softmax" for n in graph.descendants(meeting.number))
        everyone = meeting.tensors[0].shape[-1] >= site.ranked.shape[-1]
        return (MASKED if everyone else PUBLISHED) if softmax else OTHER
    if meeting.name in PRODUCTS:
        others = [graph.origin(n) for n in meeting.inputs if not graph.depends(n, site.decision_call.number)]
        if any(calls[n].name == "softmax" for n in others):
            return WEIGHTS
        if any(calls[n].name in ("exp", "exp_") for n in others):
            return POLICY
        return TIMES if meeting.tensors[0].dim() >= 3 else OTHER
    if meeting.name in CONTRACTIONS:
        return TIMES
    return OTHER


def meeting_of(reading: Reading, decision: Call) -> Call | None:
    """The first call that brings D together with a tensor that is neither D's own nor an index."""
    alone = {decision.number}
    for number in reading.graph.descendants(decision.number):
        call = reading.watched.calls[number]
        if not any(n in alone for n in call.inputs):
            continue
        of_its_own = [t for t in call.read if reading.watched.watch.number_of(t) in alone]
        if of_its_own and not any(t.is_floating_point() for t in of_its_own):
            continue  # tokens that are picked by its indices
        others = [
            tensor
            for tensor in call.read
            if tensor.is_floating_point()
            and tensor.numel() > 1
            and reading.watched.watch.number_of(tensor) not in alone
            and tensor.requires_grad
        ]
        if others and call.name in (*SUMS, *PRODUCTS, *CONTRACTIONS, "where", "masked_fill", "cat", "addcmul"):
            return call
        alone.add(number)
    return None
