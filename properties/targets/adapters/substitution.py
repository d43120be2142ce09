"""Where a module that builds its score inside has it, so that another one can be put in its place.

A law judges D as a function of the score. Published modules take attentions instead and make the score of
them. So the calls of torch that one forward pass makes are counted; among those that return a number a token
the one is found through which all that decides goes; from then on that call returns the law's score. What
stands before it (normalisation, predictor, weights) is replaced, what stands after it is the module's own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from sdtps_ref.properties.kit.values import draw
from sdtps_ref.properties.signals.model import leaves
from sdtps_ref.properties.targets.adapters.wrappers import is_a_row, substituted

ORDERING = {"topk", "sort", "argsort", "msort", "kthvalue"}
DIVISION = {"div", "true_divide", "divide", "__truediv__"}
NEGATION = {"neg", "negative", "__neg__"}
TRIALS = 3  # scores to be told apart by


class Place(NamedTuple):
    """The call that returns the score: how many come before it, and what it is named."""

    position: int
    name: str


@dataclass(frozen=True)
class Call:
    """One call of torch: its name, arguments and result, and the result's values at that time."""

    name: str
    arguments: tuple[Any, ...]
    result: Any
    value: Tensor | None


class Record(TorchFunctionMode):
    """Notes every call of torch that is made within."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """One call."""
        result = func(*args, **(kwargs or {}))
        value = result.detach().clone() if isinstance(result, Tensor) and result.is_floating_point() else None
        self.calls.append(Call(getattr(func, "__name__", ""), args, result, value))
        return result


def recorded(call: Callable[[], Any]) -> list[Call]:
    """The calls of torch within `call`."""
    mode = Record()
    with mode:
        call()
    return mode.calls


def find_score(decide: Callable[[int], Tensor], shape: tuple[int, int], tau: float) -> Place | None:
    """Where D (B N, of that shape) has its score; None if no one call decides alone.

    decide(i): D for the i-th of two inputs, which require grad and are made beforehand: calls are counted.
    tau: the temperature it was built with, an odd number.

    The score is the last result of a row of numbers that does not depend on the noise, before tokens are put
    into order, of which D is a function: another score gives another D, other inputs the same, and D has no
    gradient to them but through the score. (An older D has no gradient at all, so a change of sign is not the score.)
    """
    once, again = (_seeded(seed, lambda: recorded(lambda: decide(0))) for seed in (0, 1))
    candidates = []
    for position, (call, same) in enumerate(zip(once, again, strict=False)):
        if call.name != same.name:
            break
        if call.name in ORDERING:
            break
        if call.value is not None and is_a_row(call.result, shape) and torch.equal(call.value, same.value):
            candidates.append(Place(position, call.name))
    deciding = [place for place in candidates if _decides(decide, place, shape)]
    while deciding:
        place = deciding.pop()
        arguments = once[place.position].arguments
        over_tau = place.name in DIVISION and len(arguments) > 1 and _is_number(arguments[1], tau)
        turned = over_tau or place.name in NEGATION
        if not deciding or not (turned or _is_soft_mask(decide, place, shape)):
            return place
    return None


def _decides(decide: Callable[[int], Tensor], place: Place, shape: tuple[int, int]) -> bool:
    scores = [draw("normal", shape, seed).float().requires_grad_() for seed in range(TRIALS)]

    def decision(inputs: int, score: Tensor) -> Tensor:
        return _seeded(0, lambda: substituted(lambda: decide(inputs), *place, score))

    try:
        first = decision(0, scores[0])
        if not torch.equal(first, decision(1, scores[0])):
            return False
        if any(leaf is not scores[0] and not isinstance(leaf, nn.Parameter) for leaf in leaves([first])):
            return False
        return any(not torch.equal(first, decision(0, score)) for score in scores[1:])
    except Exception:  # a result that was put in a wrong place may lead anywhere
        return False


def _is_soft_mask(decide: Callable[[int], Tensor], place: Place, shape: tuple[int, int]) -> bool:
    """Whether D's gradient is that of what the call returns, itself."""
    score = draw("normal", shape, 0).float().softmax(-1).requires_grad_()
    decision = _seeded(0, lambda: substituted(lambda: decide(0), *place, score))
    if not decision.requires_grad:
        return False
    cotangent = draw("normal", shape, 1).to(decision)
    reached = torch.autograd.grad(decision, score, cotangent, allow_unused=True)[0]
    return reached is not None and torch.allclose(reached.to(cotangent), cotangent)


def _seeded(seed: int, call: Callable[[], Any]) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return call()


def _is_number(value: Any, number: float) -> bool:
    if isinstance(value, Tensor):
        return value.numel() == 1 and abs(float(value.detach()) - number) < 1e-6
    return isinstance(value, (int, float)) and abs(value - number) < 1e-6
