"""Losses within the user's own call, beside the selection."""

from __future__ import annotations

import torch
from torch import Tensor

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.call.reading_of import CALL, passes_of
from sdtps_ref.properties.watching.graph import SAME_NUMBERS
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call

PARTS = ("__getitem__", "narrow", "gather", "index_select", "masked_select", "take_along_dim", "cat", "stack")
# By the loss, what it takes the first of its arguments for, and how that is come by.
TAKES = {
    "kl_div": ("log-probabilities", "F.log_softmax(logits, dim=-1)"),
    "nll_loss": ("log-probabilities", "F.log_softmax(logits, dim=-1)"),
    "cross_entropy": ("logits", "the logits as they are"),
    "binary_cross_entropy_with_logits": ("logits", "the logits as they are"),
}


@law(needs="call", domain=CALL)
def losses_get_what_they_take(probe: Probe) -> None:
    """A loss that takes logits or log-probabilities is not given probabilities.

    Why: it is finite, it falls, and its minimum is elsewhere: `kl_div` of probabilities has none at all, and
    `cross_entropy` of probabilities cannot come below a constant and has hardly any slope.
    Breaks when: a softmax or sigmoid stays before `F.kl_div`, `F.nll_loss`, `F.cross_entropy` or
    `F.binary_cross_entropy_with_logits`.
    Remedy: `F.kl_div(F.log_softmax(logits, -1), target)`; logits for `cross_entropy` and `..._with_logits`.
    """
    reading = passes_of(probe).reading()
    calls = [call for call in reading.watched.calls if call.name in TAKES and call.read]
    if not calls:
        raise Unsupported("no loss is computed in the call")
    for call in calls:
        takes, instead = TAKES[call.name]
        if _are_probabilities(reading, call, call.read[0]):
            raise Violation(
                f"{call.name} is given probabilities, and takes them for {takes}",
                where=call.place,
                effect="its gradient leads away from where the loss is meant to lead",
                fix=f"hand over {instead}",
            )


def _are_probabilities(reading: Reading, call: Call, given: Tensor) -> bool:
    """Whether all lie between 0 and 1, and sum to one along the classes, or are those of a sigmoid."""
    value = given.detach().float()
    if not given.requires_grad or value.numel() < 2 or not bool(((value >= 0) & (value <= 1)).all()):
        return False
    if call.name == "binary_cross_entropy_with_logits":
        number = reading.watched.watch.number_of(given)
        while number is not None and reading.watched.calls[number].name in (*SAME_NUMBERS, *PARTS):
            number = next(iter(reading.watched.calls[number].inputs), None)
        return number is not None and reading.watched.calls[number].name in ("sigmoid", "sigmoid_")
    axis = 1 if call.name != "kl_div" and value.dim() > 1 else -1
    return value.shape[axis] > 1 and bool(torch.allclose(value.sum(axis), torch.ones(()), atol=1e-3))
