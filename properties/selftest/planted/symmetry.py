"""Faults of symmetry, and of the gradient's size."""

import torch
from torch import Tensor, nn

from sdtps_ref.properties.selftest.planted.aggregation import Subtracting
from sdtps_ref.properties.selftest.planted.baseline import Aggregator, Pipeline, Plain, Selector, fault
from sdtps_ref.properties.selftest.planted.selection_result import SelectionResult
from sdtps_ref.properties.selftest.planted.variants import WholePipeline


@fault(expected_law="symmetry.batch_independent")
class ScoreScaledOverTheBatch(Plain):
    """The score is divided by the standard deviation of the whole batch before the soft mask."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        return super().soft(score / (score.var(unbiased=False) + 1e-6).sqrt(), noise, tau, keep)


@fault(expected_law="symmetry.batch_independent")
class SoftMaskOverTheBatch(Plain):
    """One softmax over all tokens of all samples."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        return super().soft(score.flatten(), noise.flatten(), tau, keep).view_as(score)


@fault(expected_law="decision.forward_is_hard")
class GlobalTopK(Plain):
    """D marks the B * K highest scores of the whole batch, more in one row than in another."""

    def hard(self, score: Tensor, indices: Tensor) -> Tensor:
        threshold = score.flatten().topk(indices.numel()).values[-1]
        return (score >= threshold).to(score.dtype)


@fault(expected_law="symmetry.batch_independent")
class OneChoiceForTheBatch(Plain):
    """Top-K of the scores' mean over the batch: every sample keeps the same positions."""

    def choose(self, score: Tensor, noise: Tensor, keep: int) -> Tensor:
        return super().choose(score.mean(0, keepdim=True), noise, keep).expand(score.shape[0], -1)


@fault(expected_law="symmetry.batch_independent")
class BatchNormInTheAggregation(Plain):
    """The logits of a token are normalised over the batch and the tokens, as BatchNorm does in train mode."""

    def logits(self, tokens: Tensor, layers: nn.Module, scale: Tensor) -> Tensor:
        mean, var = tokens.mean((0, 1)), tokens.var((0, 1), unbiased=False)
        return super().logits((tokens - mean) / (var + 1e-5).sqrt(), layers, scale)


@fault(expected_law="symmetry.batch_independent")
class GradientSharedByTheBatch(Plain):
    """Right forward; backward every sample receives the mean of all."""

    def join(self, hard: Tensor, soft: Tensor) -> Tensor:
        shared = soft.mean(0, keepdim=True) if soft.shape[0] > 1 else soft
        return hard + (shared - shared.detach())


@fault(expected_law="symmetry.token_permutation_equivariant")
class PositionsInTheWiring(Plain):
    """The pipeline lets a kept token weigh by where it stood: its weights are still a softmax's."""

    def wire(self, selection: SelectionResult, aggregate):  # type: ignore[no-untyped-def]
        places = selection.keep_indices / selection.decision.shape[-1]
        tilted = selection.selected_decision * (1 - 0.5 * places.to(selection.selected_decision))
        return aggregate(selection.selected_tokens, tilted)


@fault(expected_law="symmetry.token_permutation_equivariant")
class BonusByPosition(Plain):
    """The middle of the picture is preferred."""

    def choose(self, score: Tensor, noise: Tensor, keep: int) -> Tensor:
        places = torch.linspace(-1, 1, score.shape[-1]).to(score)
        return torch.topk(score - places**2, keep, dim=-1).indices


@fault(expected_law="symmetry.token_permutation_equivariant")
class BestOfEveryWindow(Plain):
    """Odd and even positions share the K between them."""

    def choose(self, score: Tensor, noise: Tensor, keep: int) -> Tensor:
        even, odd = score[:, ::2], score[:, 1::2]
        from_odd = min(keep // 2, odd.shape[-1])
        from_even = keep - from_odd
        if from_even > even.shape[-1]:
            return super().choose(score, noise, keep)
        chosen = [2 * even.topk(from_even).indices, 2 * odd.topk(from_odd).indices + 1]
        return torch.cat(chosen, dim=-1)


@fault(expected_law="symmetry.score_shift_invariant")
class ScoreOverItsMaximum(Plain):
    """The score is divided by its largest magnitude before the soft mask."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        return super().soft(score / (score.abs().amax(-1, keepdim=True) + 1e-6), noise, tau, keep)


@fault(expected_law="symmetry.score_shift_invariant")
class KeepsThePositive(Plain):
    """score > 0 is kept first, in order of position; what is missing to K is filled up by score."""

    def choose(self, score: Tensor, noise: Tensor, keep: int) -> Tensor:
        places = torch.linspace(1, 0, score.shape[-1]).to(score)
        return torch.topk(torch.where(score > 0, 1e6 + places, score), keep, dim=-1).indices


@fault(expected_law="symmetry.score_shift_invariant")
class SoftMaskWithASink(Plain):
    """exp(s) / (1 + sum exp(s)): an invisible token of score zero takes its share."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        with_sink = nn.functional.pad((score + noise) / tau, (0, 1))
        return torch.softmax(with_sink, dim=-1)[..., :-1]


@fault(expected_law="symmetry.score_order_is_all_that_matters")
class ScoreInTheWeights(Plain):
    """A kept token weighs more the higher its score, detached so that only D carries the gradient."""

    def pipeline(self, *, dim: int, num_tokens: int, keep: int, slots: int, tau: float) -> Pipeline:
        return FavouringPipeline(self, Selector(self, keep, tau), Aggregator(self, dim, slots))


class FavouringPipeline(Pipeline):
    """D times a softmax of the kept scores."""

    def forward(self, tokens: Tensor, score: Tensor) -> Tensor:
        selection = self.select(tokens, score)
        favour = score.detach().gather(-1, selection.keep_indices).softmax(-1)
        return self.pool(selection.selected_tokens, selection.selected_decision * favour)


@fault(expected_law="symmetry.score_order_is_all_that_matters")
class ThresholdAtZero(Plain):
    """Scores below zero count as zero, so that they tie, and the first of them are kept."""

    def choose(self, score: Tensor, noise: Tensor, keep: int) -> Tensor:
        return torch.sort(score.clamp(min=0), dim=-1, descending=True, stable=True).indices[:, :keep]


@fault(expected_law="gradient.is_finite")
class LogOfTheWholeDecision(Plain):
    """The pipeline masks all N tokens by log D: at D = 0 the slope is infinite, and times zero NaN."""

    def mask(self, logits: Tensor, decision: Tensor) -> Tensor:
        return logits + decision.log().unsqueeze(1)

    def pipeline(self, *, dim: int, num_tokens: int, keep: int, slots: int, tau: float) -> Pipeline:
        return WholePipeline(self, Selector(self, keep, tau), Aggregator(self, dim, slots))


@fault(expected_law="gradient.is_finite")
class RootOfTheVariance(Plain):
    """The score by its standard deviation, the epsilon outside of the root: NaN where all scores are the same."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        centred = score - score.mean(-1, keepdim=True)
        return super().soft(centred / (centred.square().mean(-1, keepdim=True).sqrt() + 1e-6), noise, tau, keep)


@fault(expected_law="gradient.is_finite_in_float16")
class PublishedMaskInHalf(Subtracting):
    """Fine in float32; in float16 the score receives NaN."""
