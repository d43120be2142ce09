"""Memory that two tensors share in the user's own call."""

from __future__ import annotations

from torch import Tensor

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, passes_of
from sdtps_ref.properties.watching.record import Call
from sdtps_ref.properties.watching.storage import is_there, storage_of

PARTLY = ("__setitem__", "scatter_", "masked_fill_", "index_fill_", "index_put_", "index_copy_", "masked_scatter_")
WHOLLY = ("__itruediv__", "__imul__", "__iadd__", "__isub__", "div_", "mul_", "add_", "sub_", "clamp_", "exp_", "log_")


@law(needs="call", domain=CALL)
def detached_memory_is_left_alone(probe: Probe) -> None:
    """What is written into a detached tensor is written into one that has memory of its own.

    Why: `detach()` copies nothing. What is written into its result is written into the trained tensor too, past
    autograd, and whatever uses that one afterwards sees the marks in place of the numbers.
    Breaks when: a greedy choice writes -inf over what it has taken, into `score.detach()`, or `x /= x.norm()` is
    given the detached tokens.
    Remedy: `left = score.detach().clone()`, `x = x / x.norm()`.
    """
    calls = passes_of(probe).reading().watched.calls
    trained: set[int] = set()
    # Weights are written into by their own code, as where they are clamped or renormalised.
    leaves = {storage_of(t) for call in calls for t in call.outside if t.requires_grad and is_there(t)}
    for call in calls:
        target = call.args[0] if call.name in (*PARTLY, *WHOLLY) and call.args else None
        if isinstance(target, Tensor) and not target.requires_grad and target.is_floating_point() and is_there(target):
            shared = storage_of(target)
            if call.name in WHOLLY and shared in leaves:
                continue
            if shared in trained and any(_is_trained(t) and storage_of(t) == shared for t in _read_after(calls, call)):
                wholly = call.name in WHOLLY
                raise Violation(
                    f"{call.name} writes into memory that it shares with a trained tensor, which is used again later",
                    where=call.place,
                    effect="what is made of that tensor sees what was written: "
                    + (
                        "its gradients are those of other numbers"
                        if wholly
                        else "those entries are lost, and not trained"
                    ),
                    fix="make a new tensor: x = x / x.norm(), not x /= x.norm()"
                    if wholly
                    else "write into a copy: score.detach().clone()",
                )
        trained |= {storage_of(tensor) for tensor in call.tensors if _is_trained(tensor)}


def _read_after(calls: list[Call], writing: Call) -> list[Tensor]:
    return [tensor for call in calls[writing.number + 1 :] for tensor in call.read]


def _is_trained(tensor: Tensor) -> bool:
    return tensor.requires_grad and tensor.is_floating_point() and is_there(tensor)
