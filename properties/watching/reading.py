"""What one watched training pass tells of a site: gradients at every rung, the soft mask behind D, the mask's gain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.kit.values import draw
from sdtps_ref.properties.signals import fingerprint
from sdtps_ref.properties.watching.graph import Graph
from sdtps_ref.properties.watching.record import Call, Watched, watch
from sdtps_ref.properties.watching.sites import Site, find_sites, is_hard

REMOVED = 6  # kept tokens that are taken away, one at a time, to see what that does
FEW, LARGE = 2, 3e7  # so many only where a pass computes more numbers than this
ROWS = 32  # rows of D's Jacobian that are taken as they are; of longer ones, as many random combinations


@dataclass(eq=False)
class Reading:
    """One pass and its sites. run: makes the same call again."""

    watched: Watched
    sites: list[Site]
    run: Callable[[], Any]
    seed: int
    weighings: dict[int, list[tuple[Tensor, Call]]] = field(default_factory=dict)  # see weighing.py
    _slopes: dict[int, tuple[Tensor, Tensor | None]] = field(default_factory=dict)

    @cached_property
    def graph(self) -> Graph:
        """What depends on what."""
        return Graph(self.watched.calls)

    @cached_property
    def outputs(self) -> list[Tensor]:
        """Returned tensors through which the module is trained; D itself, where it is returned, is not among them."""
        decisions = [site.decision for site in self.sites if site.decision is not None]
        return [
            tensor
            for tensor in self.watched.outputs
            if tensor.requires_grad and not any(tensor is d for d in decisions) and not is_hard(tensor)
        ]

    def ends(self, watched: Watched | None = None) -> list[Tensor]:
        """What the call comes to, all of it; of a call that was made again, if one is given."""
        return (watched or self.watched).outputs

    @property
    def returns_decision(self) -> bool:
        """Whether a hard mask that carries a gradient is returned."""
        return any(tensor.requires_grad and is_hard(tensor) for tensor in self.watched.outputs)

    def loss(self, watched: Watched | None = None) -> Tensor | None:
        """A random combination of all outputs."""
        own = self.outputs
        if not own:
            return None
        places = [i for i, tensor in enumerate(self.watched.outputs) if any(tensor is each for each in own)]
        outputs = (watched or self.watched).outputs
        return torch.stack([_weighed(outputs[i], i) for i in places]).sum()

    @cached_property
    def _loss(self) -> Tensor | None:
        return self.loss()

    def gradients(self, sources: list[Tensor]) -> list[Tensor | None]:
        """d loss / d source for each; None where no path leads there."""
        found: list[Tensor | None] = [None] * len(sources)
        asked = [i for i, source in enumerate(sources) if source.requires_grad]
        if self._loss is None or not asked:
            return found
        slopes = torch.autograd.grad(self._loss, [sources[i] for i in asked], retain_graph=True, allow_unused=True)
        for i, slope in zip(asked, slopes, strict=True):
            found[i] = slope
        return found

    def gradient(self, source: Tensor) -> Tensor | None:
        """d loss / d source; None where no path leads there. Kept: several laws ask for the same."""
        if id(source) not in self._slopes:
            self._slopes[id(source)] = (source, self.gradients([source])[0])
        return self._slopes[id(source)][1]

    def size(self, tensor: Tensor) -> float:
        """The norm of d loss / d tensor, for a tensor of this pass; 0 where no path leads there."""
        return self._sizes.get(id(tensor), 0.0)

    @cached_property
    def _sizes(self) -> dict[int, float]:
        """All norms, by one backward pass: each gradient is measured as it comes by, and not kept."""
        held = [tensor for call in self.watched.calls for tensor in (*call.tensors, *call.outside)]
        wanted = {id(tensor): tensor for tensor in held if tensor.requires_grad}
        leaves = [tensor for tensor in wanted.values() if tensor.is_leaf]
        found: dict[int, float] = {}
        if self._loss is None or not leaves:
            return found

        def measure(key: int, slope: Tensor) -> None:
            found[key] = float(torch.linalg.vector_norm(slope.detach(), dtype=torch.float64))

        hooks = [tensor.register_hook(partial(measure, key)) for key, tensor in wanted.items() if not tensor.is_leaf]
        try:
            slopes = self.gradients(leaves)
        finally:
            for hook in hooks:
                hook.remove()
        for leaf, slope in zip(leaves, slopes, strict=True):
            if slope is not None:
                measure(id(leaf), slope)
        return found

    def again(self, answers: dict[int, Callable[[Tensor], Tensor]]) -> Watched:
        """The same pass, with other results for some calls."""
        return watch(self.run, self.seed, answers)

    def behind_score(self, site: Site) -> list[Call]:
        """The calls that make the site's score, the last one first; none where it is passed in."""
        if site.score_call is None:
            return []
        return [self.watched.calls[n] for n in (site.score_call.number, *self.graph.ancestors(site.score_call.number))]

    def upstream(self, call: Call | None, tensor: Tensor) -> list[Tensor]:
        """The trainable tensors, parameters or inputs, that a result was made of."""
        if call is None:
            return [tensor] if tensor.requires_grad else []
        numbers = [call.number, *self.graph.ancestors(call.number)]
        found = {id(t): t for n in numbers for t in self.watched.calls[n].outside if t.requires_grad and t.is_leaf}
        return list(found.values())


def read(run: Callable[[], Any], seed: int = 0) -> Reading:
    """Watch a pass and find its sites. run: one forward pass, in train mode, of inputs that require grad."""
    watched = watch(run, seed)
    return Reading(watched, find_sites(watched), run, seed)


def _weighed(output: Tensor, place: int) -> Tensor:
    weights = draw("normal", tuple(output.shape), 11 + place).to(output)
    return (output * weights).sum() / max(output.numel(), 1) ** 0.5


def removal(reading: Reading, site: Site) -> list[tuple[float, float]]:
    """For some kept tokens: what D's gradient says of taking it away, and what taking it away does to the loss.

    A right gradient says about what happens; the mask of 1e10 says 1e10 times as much. Empty if it cannot be tried.
    """
    assert site.decision is not None and site.decision_call is not None
    slope = reading.gradient(site.decision)
    if slope is None or reading._loss is None:
        return []
    decision = site.decision.detach()
    pairs = []
    computed = sum(tensor.numel() for call in reading.watched.calls for tensor in call.tensors)
    for position in _spread(decision.round().nonzero(), FEW if computed > LARGE else REMOVED):
        other = decision.clone()
        other[tuple(position)] = 0
        if _is_one_hot(decision):
            other[tuple(position[:-1])] = 1 - decision[tuple(position[:-1])]
        direction = other - decision

        def answer(result: Any, other: Tensor = other) -> Any:
            return other.to(result) if isinstance(result, Tensor) else result

        try:
            moved = reading.loss(reading.again({site.decision_call.number: answer}))
        except Exception:  # the code may not bear a row with one token less
            continue
        if moved is not None:
            pairs.append((float((slope * direction).sum()), float(moved.detach() - reading._loss.detach())))
    return pairs


def gain_of(pairs: list[tuple[float, float]]) -> float | None:
    """How many times too much, or too little, D's gradient says; None where nothing can be told."""
    said = sum(s * s for s, _ in pairs) ** 0.5
    does = sum(d * d for _, d in pairs) ** 0.5
    return said / does if said > 0 and does > 1e-12 else None


def _is_one_hot(decision: Tensor) -> bool:
    return decision.dim() > 1 and decision.shape[-1] == 2 and bool(((decision.sum(-1) - 1).abs() < 1e-3).all())


def _spread(positions: Tensor, count: int) -> list[list[int]]:
    step = max(1, len(positions) // count)
    return positions[::step][:count].tolist()


@dataclass(frozen=True)
class SoftMask:
    """D's backward. kind: softmax over the tokens, elementwise, none, or other; rate: 1 / tau of a softmax.

    probabilities: of each of the first samples, where it is a softmax. own_sign: share of tokens whose own score
    raises their own D. leak: how much of the gradient of one sample's D goes to other samples. at_hard: whether it is
    the Jacobian of a softmax that has D itself as its result, and not the soft mask.
    """

    kind: str
    rate: float = float("nan")
    probabilities: tuple[Tensor, ...] = ()
    own_sign: float = 1.0
    leak: float = 0.0
    at_hard: bool = False


def soft_mask(site: Site) -> SoftMask:
    """Read the soft mask off a few vector products of D with respect to the score."""
    assert site.decision is not None
    decision, score = site.by_sample(site.decision), site.score
    batch = decision.shape[0]
    if decision.dim() < 2 or site.by_sample(score).shape[0] != batch or not score.requires_grad:
        return SoftMask("other")
    entries = decision[0].numel()
    count = min(entries, ROWS)
    combos = torch.eye(entries) if entries <= ROWS else draw("normal", (count, entries), 3)
    rows = []
    for combo in combos:
        cotangent = combo.to(decision).view(1, *decision.shape[1:]).expand_as(decision)
        row = torch.autograd.grad(decision, score, cotangent, retain_graph=True, allow_unused=True)[0]
        if row is None:
            return SoftMask("none")
        rows.append(site.by_sample(row).reshape(batch, -1))
    jacobian = torch.stack(rows, 1).double()  # B count N
    if not jacobian.any():
        return SoftMask("none")
    leak = _leak(site, decision)
    square = jacobian.shape[-1] == entries
    if entries <= ROWS and square:
        diagonal = jacobian.diagonal(dim1=1, dim2=2)
        off = jacobian - torch.diag_embed(diagonal)
        sign = float((diagonal > 0).double().mean())
        if off.abs().amax() <= 1e-9 * diagonal.abs().amax():
            return SoftMask("elementwise", float(diagonal.abs().median()), own_sign=sign, leak=leak)
    else:
        sign = 1.0
    if not square or entries < 3:
        return SoftMask("other", own_sign=sign, leak=leak)
    found = [fingerprint.soft_mask(part, combos) for part in jacobian]
    if all(unexplained < max(1e-3, 8 * torch.finfo(decision.dtype).eps) for _, _, unexplained in found):
        rate = sorted(float(rate) for _, rate, _ in found)[len(found) // 2]
        return SoftMask("softmax", rate, tuple(probabilities for probabilities, _, _ in found), sign, leak)
    at_hard = entries <= ROWS and decision.dim() == 2 and _is_at_hard(jacobian, decision.detach().double())
    return SoftMask("other", own_sign=sign, leak=leak, at_hard=at_hard)


def _is_at_hard(jacobian: Tensor, hard: Tensor) -> bool:
    """Whether B N N is a multiple of diag(h) - h h', h being D (B N)."""
    owed = torch.diag_embed(hard) - hard.unsqueeze(2) * hard.unsqueeze(1)
    scale = float((jacobian * owed).sum() / owed.square().sum().clamp_min(1e-30))
    return bool(owed.any()) and float((jacobian - scale * owed).norm()) < 1e-3 * float(jacobian.norm())


def _leak(site: Site, decision: Tensor) -> float:
    """The share of the gradient of the first sample's D (B ...) that goes to the other samples' scores."""
    if decision.shape[0] < 2:
        return 0.0
    cotangent = torch.zeros_like(decision)
    cotangent[0] = draw("normal", tuple(decision.shape[1:]), 5).to(decision)
    row = torch.autograd.grad(decision, site.score, cotangent, retain_graph=True, allow_unused=True)[0]
    if row is None or not row.any():
        return 0.0
    row = site.by_sample(row)
    received = row.reshape(len(row), -1).norm(dim=-1)
    if int((received > 0).sum()) == 1:
        return 0.0  # of one sample alone, as where samples are dispatched: its rows are in another order
    return float(received[1:].norm() / received.norm())
