"""Right implementations, written the way that others write them."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from sdtps_ref.properties.selftest.planted.aggregation import Subtracting
from sdtps_ref.properties.selftest.planted.baseline import Aggregator, Pipeline, Plain, Selector, variant
from sdtps_ref.properties.selftest.planted.selection_result import SelectionResult


@variant
class ArgsortForTopK(Plain):
    """A full sort, of which the first K are taken."""

    def choose(self, score: Tensor, noise: Tensor, keep: int) -> Tensor:
        return score.argsort(dim=-1, descending=True)[:, :keep]


@variant
class UnsortedTopK(Plain):
    """topk without an order."""

    def choose(self, score: Tensor, noise: Tensor, keep: int) -> Tensor:
        return torch.topk(score, keep, dim=-1, sorted=False).indices


@variant
class KeptInOrderOfPosition(Plain):
    """The kept tokens stay in the order of the picture, and D with them."""

    def choose(self, score: Tensor, noise: Tensor, keep: int) -> Tensor:
        return torch.topk(score, keep, dim=-1).indices.sort(dim=-1).values


@variant
class TakeAlongDim(Plain):
    """take_along_dim for both gathers."""

    def gather(self, tokens: Tensor, indices: Tensor) -> Tensor:
        return torch.take_along_dim(tokens, indices.unsqueeze(-1), dim=1)

    def selected(self, decision: Tensor, indices: Tensor) -> Tensor:
        return torch.take_along_dim(decision, indices, dim=-1)


@variant
class AdvancedIndexing(Plain):
    """Row numbers beside the indices."""

    def gather(self, tokens: Tensor, indices: Tensor) -> Tensor:
        return tokens[torch.arange(tokens.shape[0], device=tokens.device)[:, None], indices]


@variant
class OneHotGather(Plain):
    """A product with one-hot rows, K by N."""

    def gather(self, tokens: Tensor, indices: Tensor) -> Tensor:
        return nn.functional.one_hot(indices, tokens.shape[1]).to(tokens.dtype) @ tokens

    def selected(self, decision: Tensor, indices: Tensor) -> Tensor:
        return (nn.functional.one_hot(indices, decision.shape[-1]).to(decision.dtype) @ decision.unsqueeze(-1)).squeeze(
            -1
        )


@variant
class BooleanHardMask(Plain):
    """The rank of every score, ties by position; tokens and D are both taken by the boolean mask."""

    def choose(self, score: Tensor, noise: Tensor, keep: int) -> Tensor:
        best_first = torch.sort(score.detach(), dim=-1, descending=True, stable=True).indices
        is_kept = best_first.argsort(dim=-1) < keep
        return is_kept.nonzero()[:, 1].view(score.shape[0], keep)

    def hard(self, score: Tensor, indices: Tensor) -> Tensor:
        return torch.zeros_like(score, dtype=torch.bool).scatter(-1, indices, True).to(score.dtype)

    def gather(self, tokens: Tensor, indices: Tensor) -> Tensor:
        is_kept = torch.zeros(tokens.shape[:2], dtype=torch.bool, device=tokens.device).scatter(-1, indices, True)
        return tokens[is_kept].view(tokens.shape[0], -1, tokens.shape[-1])

    def selected(self, decision: Tensor, indices: Tensor) -> Tensor:
        return decision[decision > 0.5].view(indices.shape)


@variant
class SubtractedMask(Subtracting):
    """logits - (1 - D) * 1e10: warned of, and right."""


@variant
class LogOfTheDecision(Plain):
    """log D as it is, of kept tokens, where D is one: warned of for masks over all N tokens, and right."""

    def mask(self, logits: Tensor, decision: Tensor) -> Tensor:
        return logits + decision.log().unsqueeze(1)


@variant
class LogOfAClampedDecision(Plain):
    """log D, with the smallest normal number where D is zero."""

    def mask(self, logits: Tensor, decision: Tensor) -> Tensor:
        return logits + decision.clamp(min=torch.finfo(decision.dtype).tiny).log().unsqueeze(1)


@variant
class PolicySoftmax(Plain):
    """DynamicViT's: exponentials times D, with an epsilon of 1e-6 shared by all tokens."""

    def aggregate(self, tokens: Tensor, decision: Tensor | None, layers: nn.Module, scale: Tensor) -> Tensor:
        logits = self.logits(tokens, layers, scale)
        exponentials = (logits - logits.amax(-1, keepdim=True).detach()).exp()
        if decision is not None:
            exponentials = exponentials * decision.unsqueeze(1)
        epsilon = 1e-6
        total = exponentials.sum(-1, keepdim=True) + epsilon
        return (exponentials + epsilon / tokens.shape[1]) / total @ tokens


@variant
class EinsumPooling(Plain):
    """einsum, for the logits' transpose and for the product."""

    def aggregate(self, tokens: Tensor, decision: Tensor | None, layers: nn.Module, scale: Tensor) -> Tensor:
        logits = torch.einsum("bkm->bmk", layers(tokens)) * scale
        logits = logits if decision is None else self.mask(logits, decision)
        return torch.einsum("bmk,bkc->bmc", self.weights(logits), tokens)


@variant
class PoolsAllTokens(Plain):
    """No gather before the aggregation: all N tokens, masked by D."""

    def pipeline(self, *, dim: int, num_tokens: int, keep: int, slots: int, tau: float) -> Pipeline:
        return WholePipeline(self, Selector(self, keep, tau), Aggregator(self, dim, slots))


class WholePipeline(Pipeline):
    """Hands all tokens and all of D to the aggregation."""

    def forward(self, tokens: Tensor, score: Tensor) -> Tensor:
        """tokens: B N C; score: B N."""
        return self.pool(tokens, self.select(tokens, score).decision)


class WithLayers(Plain):
    """An aggregation whose logits come from `layers`, a module from B K C to B K M."""

    def layers(self, dim: int, slots: int) -> nn.Module:
        raise NotImplementedError

    def aggregator(self, *, dim: int, slots: int) -> Aggregator:
        made = Aggregator(self, dim, slots)
        made.layers = self.layers(dim, slots)
        return made

    def pipeline(self, *, dim: int, num_tokens: int, keep: int, slots: int, tau: float) -> Pipeline:
        return Pipeline(self, Selector(self, keep, tau), self.aggregator(dim=dim, slots=slots))


@variant
class DeeperMLP(WithLayers):
    """Two hidden layers, ReLU, no LayerNorm."""

    def layers(self, dim: int, slots: int) -> nn.Module:
        return nn.Sequential(nn.Linear(dim, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, slots))


@variant
class DropoutInTheMLP(WithLayers):
    """Dropout on the hidden layer, in train mode."""

    def layers(self, dim: int, slots: int) -> nn.Module:
        return nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 16), nn.GELU(), nn.Dropout(0.1), nn.Linear(16, slots))


@variant
class DropoutOnTheTokens(WithLayers):
    """Dropout on the tokens as they come, in train mode: it draws along their strides."""

    def layers(self, dim: int, slots: int) -> nn.Module:
        return nn.Sequential(nn.Dropout(0.1), nn.LayerNorm(dim), nn.Linear(dim, slots))


@variant
class LearnedQueries(WithLayers):
    """A query a slot, softmax(q k / sqrt C) over the tokens; the values are the tokens themselves."""

    def layers(self, dim: int, slots: int) -> nn.Module:
        return Queries(dim, slots)


class Queries(nn.Module):
    """Scaled products of learned queries with projected tokens."""

    def __init__(self, dim: int, slots: int):
        super().__init__()
        self.key = nn.Linear(dim, dim, bias=False)
        self.query = nn.Parameter(torch.randn(slots, dim))

    def forward(self, tokens: Tensor) -> Tensor:
        """B K C to B K M."""
        return self.key(tokens) @ self.query.T * tokens.shape[-1] ** -0.5


@variant
class Closures(Plain):
    """Functions instead of modules: nothing to switch, so the noise is always on. A model is a module."""

    multimodal = branches = model = None  # type: ignore[assignment]

    def selector(
        self, *, dim: int, num_tokens: int, keep: int, tau: float
    ) -> Callable[[Tensor, Tensor], SelectionResult]:
        def select(tokens: Tensor, score: Tensor) -> SelectionResult:
            return self.select(tokens, score, keep, tau, training=True)

        return select

    def pipeline(
        self, *, dim: int, num_tokens: int, keep: int, slots: int, tau: float
    ) -> Callable[[Tensor, Tensor], Tensor]:
        select = self.selector(dim=dim, num_tokens=num_tokens, keep=keep, tau=tau)
        aggregate = Aggregator(self, dim, slots)
        return lambda tokens, score: self.wire(select(tokens, score), aggregate)


@variant
class NoiseAlwaysOn(Plain):
    """In eval mode too: warned of, and right."""

    def select(self, tokens: Tensor, score: Tensor, keep: int, tau: float, training: bool) -> SelectionResult:
        return super().select(tokens, score, keep, tau, training=True)


class WithAFactor(Selector):
    """Learns a factor on the temperature that it was given, one at the start."""

    def __init__(self, steps: Plain, keep: int, tau: float):
        super().__init__(steps, keep, tau)
        self.log_factor = nn.Parameter(torch.zeros(()))

    def forward(self, tokens: Tensor, score: Tensor) -> Any:
        """tokens: B N C; score: B N."""
        return self.steps.select(tokens, score, self.keep, self.tau * self.log_factor.exp(), self.training)  # type: ignore[arg-type]


@variant
class LearnedFactorOnTheTemperature(Plain):
    """The temperature is learned: it acts through the soft mask alone, and no output shows it."""

    def selector(self, *, dim: int, num_tokens: int, keep: int, tau: float) -> Any:
        self.check(num_tokens, keep)
        return WithAFactor(self, keep, tau)

    def pipeline(self, *, dim: int, num_tokens: int, keep: int, slots: int, tau: float) -> Any:
        self.check(num_tokens, keep)
        return Pipeline(self, WithAFactor(self, keep, tau), Aggregator(self, dim, slots))
