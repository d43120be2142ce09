"""Choices that are trained by a reward, in the user's own call: REINFORCE and its kin."""

from __future__ import annotations

import torch
from torch import Tensor

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.values import draw
from sdtps_ref.properties.laws.call.reading_of import CALL, passes_of
from sdtps_ref.properties.watching.forms import PRODUCTS
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call, Watched

COSTS = ("cross_entropy", "nll_loss", "binary_cross_entropy_with_logits", "binary_cross_entropy", "mse_loss", "l1_loss")


@law(needs="call", domain=CALL)
def less_loss_is_rewarded(probe: Probe) -> None:
    """Where the loss of a sample is its reward or its cost, more of it makes its choice less likely.

    Why: with the sign of the advantage turned the policy learns to pick what makes the loss worse, while the rest of
    the model goes on learning and hides it.
    Breaks when: `(loss - baseline) * log_prob` has a minus in front, as `(reward - baseline) * log_prob` must have.
    Remedy: `reward = -loss.detach()`, and `-((reward - baseline) * log_prob).mean()`.
    """
    reading = passes_of(probe).reading()
    found = [(cost, meeting) for cost in _costs(reading) for meeting in _meetings(reading, cost)]
    if not found:
        raise Unsupported("no choice is weighted by the loss of its sample")
    for cost, meeting in found:
        if _learns_the_worse(reading, cost, meeting):
            raise Violation(
                f"a sample whose loss is larger makes its choice more likely: what {cost.name} gives is taken for a "
                "reward",
                where=meeting.place,
                effect="the policy learns to choose what makes the loss worse",
                fix="the advantage is (baseline - loss).detach(), and its product with log_prob has a minus in front",
            )


def _costs(reading: Reading) -> list[Call]:
    """Losses of every sample on its own."""
    return [
        call
        for call in reading.watched.calls
        if call.name in COSTS and call.kwargs.get("reduction") == "none" and _is_of_samples(call.tensors[0])
    ]


def _is_of_samples(tensor: Tensor) -> bool:
    return tensor.dim() == 1 and len(tensor) > 1 and tensor.requires_grad


def _meetings(reading: Reading, cost: Call) -> list[Call]:
    """Products of what is made of the detached loss with something trained that is not: a log-probability."""
    found = []
    for number in reading.graph.descendants(cost.number):
        call = reading.watched.calls[number]
        sides = [t for t in call.read if t.is_floating_point()]
        if call.name not in PRODUCTS or len(sides) != 2 or sides[0].requires_grad == sides[1].requires_grad:
            continue
        advantage, trained = sorted(sides, key=lambda t: t.requires_grad)
        made = [reading.watched.watch.number_of(t) for t in (advantage, trained)]
        count = len(cost.tensors[0])
        if made[0] is None or made[1] is None or not {advantage.numel(), trained.numel()} <= {count}:
            continue
        if reading.graph.depends(made[0], cost.number) and not reading.graph.depends(made[1], cost.number):
            found.append(call)
    return found


def _learns_the_worse(reading: Reading, cost: Call, meeting: Call) -> bool:
    """Whether a loss that is larger raises the slope by which an output asks for more of the choice.

    The output is to be made small, which the loss itself tells: it is part of it.
    """
    more = draw("normal", tuple(cost.tensors[0].shape), 41).to(cost.tensors[0])
    more = more - more.mean()
    try:
        again = reading.again({cost.number: lambda loss: loss + more.to(loss)})
    except Exception:  # the code does not bear it
        return False
    if [call.name for call in again.calls] != [call.name for call in reading.watched.calls]:
        return False
    now, then = (_slopes(watched, cost.number, meeting.number) for watched in (reading.watched, again))
    if now is None or then is None:
        return False
    (minimised, before), (_, after) = now, then
    change = float(((after - before) * more).sum())
    size = float((after - before).norm() * more.norm())
    return minimised and size > 0 and change < -0.5 * size


def _slopes(watched: Watched, cost: int, meeting: int) -> tuple[bool, Tensor] | None:
    """Whether an output that is one number grows with the loss, and its slope by the log-probability, B."""
    loss = watched.calls[cost].tensors[0]
    chosen = next(t for t in watched.calls[meeting].read if t.requires_grad)
    for output in watched.outputs:
        if output.numel() != 1 or not output.requires_grad:
            continue
        by_loss, by_choice = torch.autograd.grad(output.sum(), [loss, chosen], retain_graph=True, allow_unused=True)
        if by_loss is not None and by_choice is not None and bool((by_loss > 0).all()):
            return True, by_choice.detach().reshape(-1)
    return None
