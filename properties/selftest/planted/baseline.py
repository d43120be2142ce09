"""A right implementation with a seam at every step, for faults and variants to override one of."""

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from sdtps_ref.properties.selftest.planted.multimodal_baseline import GuidedSteps
from sdtps_ref.properties.selftest.planted.selection_result import SelectionResult


class Plain(GuidedSteps):
    """Written from DESIGN's formulas, with the log mask; independent of the reference."""

    name = "plain"
    expected_law: str = ""
    eager_only: bool = False  # a right variant that torch.compile gets wrong: it scatters its hard mask

    # Selection, step by step.

    def noise(self, score: Tensor) -> Tensor:
        """Gumbel noise, B N."""
        wide = torch.float64 if score.dtype == torch.float64 else torch.float32
        uniform = torch.rand(score.shape, dtype=wide, device=score.device)
        return -torch.log(-torch.log(uniform.clamp(1e-30, 1 - 1e-7))).to(score.dtype)

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        """The soft mask, B N."""
        return torch.softmax((score + noise) / tau, dim=-1)

    def choose(self, score: Tensor, noise: Tensor, keep: int) -> Tensor:
        """keep_indices, B K."""
        return torch.topk(score, keep, dim=-1).indices

    def hard(self, score: Tensor, indices: Tensor) -> Tensor:
        """The hard mask, B N; compared rather than scattered, which torch.compile gets wrong."""
        positions = torch.arange(score.shape[-1], device=score.device)
        return (indices.unsqueeze(-1) == positions).any(-2).to(score.dtype)

    def join(self, hard: Tensor, soft: Tensor) -> Tensor:
        """D, B N."""
        return hard + (soft - soft.detach())

    def gather(self, tokens: Tensor, indices: Tensor) -> Tensor:
        """V_s, B K C."""
        return tokens.gather(1, indices.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))

    def selected(self, decision: Tensor, indices: Tensor) -> Tensor:
        """D at the kept positions, B K."""
        return decision.gather(-1, indices)

    def extra(self, tokens: Tensor, score: Tensor, hard: Tensor) -> Tensor:
        """The dropped tokens, of which there are some, pooled: B 1 C."""
        weights = score.masked_fill(hard > 0.5, -torch.inf).softmax(-1)
        return weights.unsqueeze(1) @ tokens

    def extra_of_nothing(self, tokens: Tensor) -> Tensor:
        """The extra token where nothing is dropped: B 1 C."""
        return torch.zeros_like(tokens[:, :1])

    def select(self, tokens: Tensor, score: Tensor, keep: int, tau: float, training: bool) -> SelectionResult:
        """All of the above."""
        noise = self.noise(score) if training else torch.zeros_like(score)
        indices = self.choose(score, noise, keep)
        hard = self.hard(score, indices)
        decision = self.join(hard, self.soft(score, noise, tau, keep))
        some_dropped = keep < score.shape[-1]
        return SelectionResult(
            selected_tokens=self.gather(tokens, indices),
            decision=decision,
            keep_indices=indices,
            selected_decision=self.selected(decision, indices),
            extra_token=self.extra(tokens, score, hard) if some_dropped else self.extra_of_nothing(tokens),
        )

    # Aggregation, step by step.

    def logits(self, tokens: Tensor, layers: nn.Module, scale: Tensor) -> Tensor:
        """Aggregation logits, B M K."""
        return layers(tokens).transpose(1, 2) * scale

    def mask(self, logits: Tensor, decision: Tensor) -> Tensor:
        """The masked logits, B M K; decision: B K."""
        kept = decision > 0
        return logits + torch.where(kept, torch.where(kept, decision, 1.0).log(), -torch.inf).unsqueeze(1)

    def weights(self, logits: Tensor) -> Tensor:
        """W, B M K."""
        return logits.softmax(-1)

    def aggregate(self, tokens: Tensor, decision: Tensor | None, layers: nn.Module, scale: Tensor) -> Tensor:
        """All of the above, B M C."""
        logits = self.logits(tokens, layers, scale)
        if decision is not None:
            logits = self.mask(logits, decision)
        return self.weights(logits) @ tokens

    def wire(self, selection: SelectionResult, aggregate: Callable[..., Tensor]) -> Tensor:
        """How the pipeline hands the selection to the aggregation."""
        return aggregate(selection.selected_tokens, selection.selected_decision)

    # The contract.

    def check(self, num_tokens: int, keep: int) -> None:
        """What is refused."""
        if not 1 <= keep <= num_tokens:
            raise ValueError(f"keep must be from 1 to {num_tokens}, but is {keep}")

    def selector(self, *, dim: int, num_tokens: int, keep: int, tau: float) -> Any:
        """As the contract has it."""
        self.check(num_tokens, keep)
        return Selector(self, keep, tau)

    def aggregator(self, *, dim: int, slots: int) -> "Aggregator":
        """As the contract has it."""
        return Aggregator(self, dim, slots)

    def pipeline(self, *, dim: int, num_tokens: int, keep: int, slots: int, tau: float) -> Any:
        """As the contract has it."""
        return Pipeline(self, Selector(self, keep, tau), Aggregator(self, dim, slots))


class Selector(nn.Module):
    """A selector that takes every step from `steps`."""

    def __init__(self, steps: Plain, keep: int, tau: float):
        super().__init__()
        self.steps, self.keep, self.tau = steps, keep, tau

    def forward(self, tokens: Tensor, score: Tensor) -> Any:
        """tokens: B N C; score: B N."""
        return self.steps.select(tokens, score, self.keep, self.tau, self.training)


class Aggregator(nn.Module):
    """An aggregator that takes every step from `steps`."""

    def __init__(self, steps: Plain, dim: int, slots: int):
        super().__init__()
        self.steps = steps
        hidden = max(4, dim // 5)
        self.layers: nn.Module = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, slots)
        )
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, tokens: Tensor, decision: Tensor | None = None) -> Tensor:
        """tokens: B K C; decision: B K."""
        return self.steps.aggregate(tokens, decision, self.layers, self.scale)


class Pipeline(nn.Module):
    """Both, wired by `steps`."""

    def __init__(self, steps: Plain, selector: Selector, aggregator: Aggregator):
        super().__init__()
        self.steps, self.select, self.pool = steps, selector, aggregator

    def forward(self, tokens: Tensor, score: Tensor) -> Tensor:
        """tokens: B N C; score: B N."""
        return self.steps.wire(self.select(tokens, score), self.pool)


Planted = TypeVar("Planted", bound=type[Plain])
FAULTS: dict[str, type[Plain]] = {}
VARIANTS: dict[str, type[Plain]] = {}


def fault(*, expected_law: str) -> Callable[[Planted], Planted]:
    """Plant a class as wrong; `expected_law` is the law that must refuse it."""

    def plant(planted: Planted) -> Planted:
        planted.expected_law = expected_law
        return _plant(planted, FAULTS)

    return plant


def variant(planted: Planted) -> Planted:
    """Plant a class as right, though written another way."""
    return _plant(planted, VARIANTS)


def _plant(planted: Planted, where: dict[str, type[Plain]]) -> Planted:
    """Raises TypeError for a name that is taken: the selftest tells faults and variants apart by nothing else."""
    taken = FAULTS.get(planted.__name__) or VARIANTS.get(planted.__name__)
    if taken is not None:
        raise TypeError(f"{planted.__module__} and {taken.__module__} both plant {planted.__name__}")
    planted.name = planted.__name__
    where[planted.name] = planted
    return planted


def plant_all() -> None:
    """Import every module of this package, which plants what it holds."""
    package = import_module("sdtps_ref.properties.selftest.planted")
    for module in iter_modules(package.__path__):
        import_module(f"{package.__name__}.{module.name}")
