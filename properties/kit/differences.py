"""Gradients by value: autograd against central differences, and the scores that a forward pass ranks.

Torch only and self-contained, like `values`: a failure's script carries these functions' own source text.
"""

from typing import Any

import torch
from torch import Tensor


def tensors_of(result: Any, every: bool = False) -> list[Tensor]:
    """The floating tensors of what a call returned, in its own order; every: indices and masks too."""
    if isinstance(result, Tensor):
        return [result] if every or result.is_floating_point() else []
    if hasattr(result, "items"):
        result = result.values()
    elif hasattr(result, "selected_tokens"):  # a selection, some of which may be made when it is read
        fields = ("selected_tokens", "decision", "keep_indices", "selected_decision", "extra_token")
        result = [getattr(result, name, None) for name in fields]
    elif hasattr(result, "__dict__"):
        result = [value for name, value in vars(result).items() if not name.startswith("_")]
    return [part for each in result for part in tensors_of(each, every)] if hasattr(result, "__iter__") else []


def along(outputs: list[Tensor]) -> Tensor:
    """One number made of all outputs, with cotangents that are the same in every call."""
    generator = torch.Generator().manual_seed(7)
    total = outputs[0].new_zeros((), dtype=torch.float64)
    for part in outputs:
        cotangent = torch.randn(part.shape, generator=generator, dtype=torch.float64).to(part.device)
        total = total + (part.double() * cotangent).sum()
    return total


def difference(call: Any, moves: list[tuple[Tensor, Tensor]], slope: Tensor, size: Tensor) -> Tensor:
    """The central difference of `along(call())` as all leaves move, each in its direction: of some steps, the one that
    comes nearest to `slope`. moves: leaf and direction."""
    nearest = torch.full_like(slope, torch.inf)
    kept = [leaf.detach().clone() for leaf, _ in moves]
    for step in (1e-6, 1e-4, 1e-2):  # the larger ones for code that computes in float32 whatever it is given
        ends = []
        for side in (step, -step, 0):
            with torch.no_grad():
                for (leaf, direction), was in zip(moves, kept, strict=True):
                    leaf.copy_(was + side * direction)
            if side:
                ends.append(along(call()).detach())
        found = (ends[0] - ends[1]) / (2 * step)
        if not (found - slope).abs() >= (nearest - slope).abs():
            nearest = found
        if (nearest - slope).abs() <= 1e-4 * size + 1e-7 * (1 + ends[0].abs()):
            break
    return nearest


def derivatives(call: Any, leaves: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
    """For each leaf: the derivative along a random direction by autograd, by the difference that comes nearest to
    it, and the length of the gradient. call: the outputs, for the leaves as they are; it seeds torch itself.

    Leaves whose gradients are of ordinary length are moved together first, and one by one only if that is wrong.
    """
    total = along(call())
    given = list(leaves.values())
    gradients = torch.autograd.grad(total, given, allow_unused=True) if total.requires_grad else [None] * len(given)
    slopes, sizes, moves, ordinary = [], [], [], []
    for i, (leaf, gradient) in enumerate(zip(given, gradients, strict=True)):
        generator = torch.Generator().manual_seed(seed + i)
        direction = torch.randn(leaf.shape, generator=generator, dtype=torch.float64).to(leaf)
        gradient = torch.zeros_like(leaf) if gradient is None else gradient
        size = gradient.norm().double()
        if 0.03 < size < 1e6:
            direction = direction / size
            size = torch.ones_like(size)
            ordinary.append(i)
        slopes.append((gradient * direction).sum().double())
        sizes.append(size)
        moves.append((leaf, direction))
    found, together = {}, torch.zeros(())
    if ordinary:
        slope = torch.stack([slopes[i] for i in ordinary]).sum()
        size = torch.as_tensor(len(ordinary) ** 0.5, dtype=torch.float64, device=slope.device)
        together = (difference(call, [moves[i] for i in ordinary], slope, size) - slope).abs() > 1e-4 * size
    for i, name in enumerate(leaves):
        alone = bool(together) or i not in ordinary
        nearest = difference(call, [moves[i]], slopes[i], sizes[i]) if alone else slopes[i]
        found[name] = torch.stack([slopes[i], nearest, torch.maximum(sizes[i], nearest.abs())]).cpu()
    return found


def call_derivatives(
    built: Any, arguments: list[Any], named: dict[str, Any], leaves: dict[str, Tensor], seed: int
) -> dict[str, Tensor]:
    """`derivatives` of what `built` returns for these arguments; the leaves are tensors in them, or parameters."""

    def call() -> list[Tensor]:
        torch.manual_seed(seed)
        return tensors_of(built(*arguments, **named))

    return derivatives(call, leaves, seed)


def second_derivatives(
    built: Any, arguments: list[Any], named: dict[str, Any], leaves: dict[str, Tensor], seed: int
) -> dict[str, Tensor]:
    """`derivatives` of the gradient to the first of the leaves; empty where differentiating twice is refused aloud."""
    source = next(iter(leaves.values()))

    def call() -> list[Tensor]:
        torch.manual_seed(seed)
        total = along(tensors_of(built(*arguments, **named)))
        found = torch.autograd.grad(total, source, create_graph=True, allow_unused=True)[0]
        return [torch.zeros_like(source) if found is None else found]

    try:
        return derivatives(call, leaves, seed)
    except (RuntimeError, NotImplementedError):
        return {}


class Ranked(torch.overrides.TorchFunctionMode):
    """Sees the calls of a forward pass, and which of their results were ranked over their last axis.

    scores: for each topk, sort or argsort, the earliest result with the ranked values that has a gradient.
    """

    def __init__(self) -> None:
        super().__init__()
        self.results: list[Tensor] = []
        self.scores: list[Tensor] = []

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        ranked = args[0] if args else kwargs.get("input")
        if getattr(function, "__name__", "") in ("topk", "sort", "argsort", "kthvalue") and isinstance(ranked, Tensor):
            self.note(ranked)
        result = function(*args, **kwargs)
        if isinstance(result, Tensor) and result.requires_grad and result.dim() >= 2:
            self.results.append(result)
        return result

    def note(self, ranked: Tensor) -> None:
        if ranked.dim() < 2 or not ranked.is_floating_point() or ((ranked == 0) | (ranked == 1)).all():
            return  # a mask may be sorted too, for the positions in it
        for result in self.results:
            if result.shape == ranked.shape and torch.equal(result.detach(), ranked.detach()):
                if not any(result is score for score in self.scores):
                    self.scores.append(result)
                return


def last_of(scores: list[Tensor]) -> list[Tensor]:
    """Those that no other is made of: what is sorted on the way to a score, for its least and greatest, is none."""
    return [
        score
        for place, score in enumerate(scores)
        if not any(
            torch.autograd.grad(later.sum(), score, retain_graph=True, allow_unused=True)[0] is not None
            for later in scores[place + 1 :]
        )
    ]


def ranked_scores(built: Any, arguments: list[Any], named: dict[str, Any], seed: int) -> list[Tensor]:
    """The scores that `built` ranks in a call, in their order."""
    torch.manual_seed(seed)
    with Ranked() as seen:
        built(*arguments, **named)
    return last_of(seen.scores)


def score_derivatives(
    built: Any, arguments: list[Any], named: dict[str, Any], leaves: dict[str, Tensor], seed: int
) -> dict[str, Tensor]:
    """`derivatives` of the scores that `built` ranks for these arguments."""
    return derivatives(lambda: ranked_scores(built, arguments, named, seed), leaves, seed)


def road_derivatives(
    warm: Any, cold: Any, arguments: list[Any], named: dict[str, Any], leaves: dict[str, Tensor], seed: int
) -> dict[str, Tensor]:
    """For each leaf: what reaches it through D, and what should: the scores' own derivative times what reaches them.

    warm: at the case's temperature; cold: the same at one so high that nothing passes through D.
    """
    reached: list[list[Tensor]] = []
    scores: list[Tensor] = []
    for built in (warm, cold):
        torch.manual_seed(seed)
        with Ranked() as seen:
            outputs = tensors_of(built(*arguments, **named))
        scores = last_of(seen.scores)
        wanted = [*leaves.values(), *scores]
        gradients = torch.autograd.grad(along(outputs), wanted, retain_graph=True, allow_unused=True)
        reached.append([torch.zeros_like(w) if g is None else g for w, g in zip(wanted, gradients, strict=True)])
    through = [first - second for first, second in zip(*reached, strict=True)]
    to_scores = through[len(leaves) :]
    owed = torch.autograd.grad(scores, list(leaves.values()), to_scores, allow_unused=True)
    found = {"scores": torch.stack([part.abs().amin(-1).amin() for part in to_scores]).cpu()}
    for (name, leaf), seen_part, due in zip(leaves.items(), through, owed, strict=False):
        due = torch.zeros_like(leaf) if due is None else due
        found[name] = torch.stack([(seen_part - due).norm(), due.norm(), seen_part.norm()]).double().cpu()
    return found
