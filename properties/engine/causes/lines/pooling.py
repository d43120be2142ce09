"""The lines of a watched call that pool tokens: where D enters, the weights, the sum, and where D's gradient ends."""

from __future__ import annotations

import torch
from torch import Tensor

from sdtps_ref.properties.engine.causes.lines.flow import Flow
from sdtps_ref.properties.engine.causes.lines.selecting import SOFT, Parts
from sdtps_ref.properties.watching.forms import CONTRACTIONS, PRODUCTS, SUMS
from sdtps_ref.properties.watching.ladder import JUMP
from sdtps_ref.properties.watching.record import Call

MEETS = (*SUMS, *PRODUCTS, *CONTRACTIONS, "where", "masked_fill", "masked_fill_", "addcmul")
REDUCTIONS = ("sum", "mean")
RESHAPES = ("reshape", "view", "unflatten")
SPREADS = ("repeat", "tile", "repeat_interleave", "flatten")
DETACHES = ("detach", "detach_", "__get__", "item", "tolist", "numpy")
DROPOUTS = ("dropout", "dropout_", "alpha_dropout", "feature_dropout", "feature_alpha_dropout")


def pooling(flow: Flow, decision: Call) -> Parts:
    """What becomes of D, and of the weights that it masks. decision: the call that returned D."""
    meeting, own = _meeting(flow, decision)
    yield from (("detached" if call.name in DETACHES else "compared", call) for call in _ends(flow, decision))
    if meeting is None:
        return
    yield "mask", meeting
    yield from (("spread", call) for call in own if call.name in SPREADS)
    yield from (("squeeze", call) for call in own if call.name == "squeeze")
    yield from (("steep", call) for call in _steep(flow, decision)[:1])
    weights = next((c for c in flow.after(meeting) if c.name in (*SOFT, "exp") and _wide(c)), None)
    if weights is None:
        return
    yield "weights", weights
    yield from _reshapes(flow, weights)
    yield from pooled(flow, weights)


def pooled(flow: Flow, weights: Call) -> Parts:
    """What the weights meet on their way: dropout, and the sum over the tokens."""
    later = flow.after(weights)
    yield from (("dropout", c) for c in later if c.name in DROPOUTS and flow.returned(c) and _changes(c))
    contraction = next((c for c in later if c.name in CONTRACTIONS), None)
    product = next((c for c in later if c.name in PRODUCTS and _brings_others(flow, c, weights)), None)
    if contraction is not None and (product is None or contraction.number < product.number):
        yield "pooled", contraction
    elif product is not None:
        yield from (("pooled", c) for c in flow.after(product) if c.name in REDUCTIONS)


def _changes(call: Call) -> bool:
    return not torch.equal(call.tensors[0], call.read[0])


def _wide(call: Call) -> bool:
    return bool(call.tensors) and call.tensors[0].dim() >= 2


def _meeting(flow: Flow, decision: Call) -> tuple[Call | None, list[Call]]:
    """The first call that brings D together with what is trained otherwise, and those that D alone goes through."""
    own: list[Call] = []
    numbers = {decision.number}
    for call in flow.after(decision):
        if not any(number in numbers for number in call.inputs):
            continue
        others = [t for t in call.read if _trained(t) and flow.number_of(t) not in numbers]
        if others and call.name in MEETS:
            return call, own
        own.append(call)
        numbers.add(call.number)
    return None, own


def _trained(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.numel() > 1 and tensor.requires_grad


def _brings_others(flow: Flow, call: Call, weights: Call) -> bool:
    return any(not flow.depends(flow.number_of(tensor), weights) for tensor in call.read if tensor.dim() >= 2)


def _ends(flow: Flow, decision: Call) -> list[Call]:
    """The calls at which D's gradient ends, where none of it reaches what is returned; empty where it does."""
    tensor = next((t for t in decision.tensors if t.requires_grad), None)
    if tensor is None or flow.reading.gradient(tensor) is not None:
        return []
    ends = []
    for call in flow.after(decision):
        given = [t for t in call.read if t.requires_grad and flow.depends(flow.number_of(t), decision)]
        lost = bool(call.tensors) and not any(t.requires_grad for t in call.tensors)
        if given and lost and flow.returned(call):
            ends.append(call)
    return ends


def _steep(flow: Flow, decision: Call) -> list[Call]:
    """The calls between D and what is returned at which the gradient grows JUMP times or more, the steepest first."""
    found = []
    for call in (c for c in flow.after(decision) if c.name not in ("amax", "max", "logsumexp")):
        results = [flow.reading.size(t) for t in call.tensors if t.requires_grad]
        given = [
            flow.reading.size(t) for t in call.read if t.requires_grad and flow.depends(flow.number_of(t), decision)
        ]
        made = max(results, default=0.0)
        if given and 0 < made < float("inf") and max(given) >= JUMP * made:
            found.append((max(given) / made, call))
    return [call for _, call in sorted(found, key=lambda entry: -entry[0])]


def _reshapes(flow: Flow, weights: Call) -> Parts:
    """A reshape that swaps two axes of the logits, as only a transpose may."""
    for call in flow.behind(weights):
        if call.name not in RESHAPES or not call.read or not call.tensors:
            continue
        before, after = tuple(call.read[0].shape), tuple(call.tensors[0].shape)
        if len(before) == len(after) == 3 and before[0] == after[0] and before[1:] == after[:0:-1] != after[1:]:
            yield "reshape", call


def narrowed(flow: Flow) -> Parts:
    """Where float64 that is trained goes on in float32."""
    for call in flow.calls:
        wide = any(t.dtype == torch.float64 and t.requires_grad for t in call.read)
        if wide and any(
            t.dtype in (torch.float32, torch.float16, torch.bfloat16) and t.requires_grad for t in call.tensors
        ):
            yield "narrowed", call
            return
