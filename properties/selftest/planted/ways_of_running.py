"""Compiled, exported, under autocast, checkpointed."""

import dataclasses
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from sdtps_ref.properties.selftest.planted.baseline import Aggregator, Pipeline, Plain, Selector, fault
from sdtps_ref.properties.selftest.planted.ordinary_calls import ordinary


@fault(expected_law="runtime.same_while_compiling")
class CompiledWithoutNoise(Plain):
    """While it is compiled the noise is zero, "since random numbers break the graph"."""

    def noise(self, score: Tensor) -> Tensor:
        return torch.zeros_like(score) if torch.compiler.is_compiling() else super().noise(score)


@fault(expected_law="runtime.gradient_under_autocast")
class AutocastDetachesTheScore(Plain):
    """Under autocast the soft mask is made of a float32 copy of the score, which was detached on the way."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        kind = score.device.type
        if kind != "meta" and torch.is_autocast_enabled(kind):
            return super().soft(score.detach().float(), noise, tau, keep).to(score.dtype)
        return super().soft(score, noise, tau, keep)


class InOrderOfThePicture(Selector):
    """Takes kept tokens by a boolean mask where the score needs no gradient."""

    def forward(self, tokens: Tensor, score: Tensor) -> Any:
        """tokens: B N C; score: B N."""
        selection = super().forward(tokens, score)
        if score.requires_grad or not ordinary(score):
            return selection
        kept = selection.decision > 0.5
        chosen = tokens[kept].view(selection.selected_tokens.shape)
        return dataclasses.replace(selection, selected_tokens=chosen)


@fault(expected_law="runtime.same_without_gradients")
class AnotherOrderWithoutGradients(Plain):
    """A shorter way "for inference" picks the tokens in another order than the indices say."""

    def selector(self, *, dim: int, num_tokens: int, keep: int, tau: float) -> Selector:
        return InOrderOfThePicture(self, keep, tau)


class Checkpointed(Aggregator):
    """Pools in a checkpoint, from tokens that it holds itself."""

    def forward(self, tokens: Tensor, decision: Tensor | None = None) -> Tensor:
        """tokens: B K C; decision: B K."""
        if not torch.is_grad_enabled() or not ordinary(tokens):
            return super().forward(tokens, decision)
        self.tokens = tokens

        def pool(decision: Tensor | None) -> Tensor:
            return Aggregator.forward(self, self.tokens, decision)

        return checkpoint(pool, decision, use_reentrant=False)


@fault(expected_law="later_calls.backward_passes_may_wait")
class CheckpointReadsTheLastTokens(Plain):
    """What is run again in the backward pass reads the tokens of the layer's latest call, not of its own."""

    def aggregator(self, *, dim: int, slots: int) -> Aggregator:
        return Checkpointed(self, dim, slots)

    def pipeline(self, *, dim: int, num_tokens: int, keep: int, slots: int, tau: float) -> Any:
        return Pipeline(self, Selector(self, keep, tau), Checkpointed(self, dim, slots))


class ReusesItsSelection(Selector):
    """Hands out what it chose without gradients once more, if the same score comes with gradients."""

    kept: tuple[Any, Any] | None = None

    def forward(self, tokens: Tensor, score: Tensor) -> Any:
        """tokens: B N C; score: B N."""
        if not ordinary(score) or score.is_inference():
            return super().forward(tokens, score)
        key = score.data_ptr(), score._version, score.shape, score.stride(), self.training
        if torch.is_grad_enabled() and self.kept is not None and self.kept[0] == key:
            return self.kept[1]
        selection = super().forward(tokens, score)
        self.kept = None if torch.is_grad_enabled() else (key, selection)
        return selection


@fault(expected_law="runtime.checkpointed")
class SelectionKeptForTheRecomputation(Plain):
    """A checkpoint runs forward without gradients first; what was chosen there is used again, and has none."""

    def pipeline(self, *, dim: int, num_tokens: int, keep: int, slots: int, tau: float) -> Any:
        return Pipeline(self, ReusesItsSelection(self, keep, tau), Aggregator(self, dim, slots))


class _HandedOn(torch.autograd.Function):
    """What comes in, with a rule for forward mode that is twice too large."""

    generate_vmap_rule = True

    @staticmethod
    def forward(logits: Tensor) -> Tensor:
        return logits.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Needs nothing."""

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor) -> Tensor:
        return 2 * tangents[0]


@fault(expected_law="runtime.transformed")
class ForwardModeDoubled(Plain):
    """A hand-written rule for forward mode that nobody tried."""

    def weights(self, logits: Tensor) -> Tensor:
        return super().weights(_HandedOn.apply(logits) if logits.dtype == torch.float64 else logits)
