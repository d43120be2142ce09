"""Faults of what D's gradient is, and of a noise that reaches the forward pass."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from sdtps_ref.properties.selftest.planted.baseline import Plain, fault
from sdtps_ref.properties.selftest.planted.ordinary_calls import ordinary
from sdtps_ref.properties.selftest.planted.selection_result import SelectionResult


@fault(expected_law="decision.ignores_noise_forward")
class OrderOfTheNoisyScore(Plain):
    """The right tokens, in the order of score plus noise: no two steps pair them with the same positions."""

    def choose(self, score: Tensor, noise: Tensor, keep: int) -> Tensor:
        kept = torch.topk(score, keep, dim=-1).indices
        order = (score + noise).gather(-1, kept).argsort(dim=-1, descending=True)
        return kept.gather(-1, order)


@fault(expected_law="decision.backward_is_softmax")
class ScaledSoftMask(Plain):
    """2 * soft: the gradient is twice what it should be."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        return 2 * super().soft(score, noise, tau, keep)


@fault(expected_law="decision.backward_is_softmax")
class SoftMaskOfSumK(Plain):
    """The soft mask is scaled to sum to K, as the hard one does."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        return keep * super().soft(score, noise, tau, keep)


@fault(expected_law="decision.backward_is_softmax")
class SigmoidSoftMask(Plain):
    """A sigmoid: every token for itself."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        return torch.sigmoid((score + noise) / tau)


@fault(expected_law="decision.backward_is_softmax")
class SoftmaxOverTheBatch(Plain):
    """dim=0: the samples of a batch compete."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        return torch.softmax((score + noise) / tau, dim=0)


@fault(expected_law="decision.backward_is_softmax")
class DetachedNormaliser(Plain):
    """exp(x) / sum(exp(x)) with the sum detached: raising one score no longer lowers the others' masks."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        scaled = (score + noise) / tau
        return (scaled - scaled.detach().logsumexp(-1, keepdim=True)).exp()


@fault(expected_law="decision.backward_is_softmax")
class TemperatureIgnored(Plain):
    """tau is taken and never used."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        return super().soft(score, noise, 1.0, keep)


@fault(expected_law="decision.backward_is_softmax")
class TemperatureMultiplied(Plain):
    """Times tau, not divided by it."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        return super().soft(score, noise, 1 / tau, keep)


@fault(expected_law="decision.backward_is_linear")
class ClippedGradient(Plain):
    """D's gradient clamped to [-1, 1], against explosions: unit vectors pass through it unchanged."""

    def join(self, hard: Tensor, soft: Tensor) -> Tensor:
        decision = super().join(hard, soft)
        if decision.requires_grad:
            decision.register_hook(lambda gradient: gradient.clamp(-1, 1))
        return decision


@fault(expected_law="decision.backward_is_linear")
class CheckpointForgetsTheNoise(Plain):
    """The soft mask is made again in the backward pass, with other noise."""

    def select(self, tokens: Tensor, score: Tensor, keep: int, tau: float, training: bool) -> SelectionResult:
        def decide(score: Tensor) -> Tensor:
            noise = self.noise(score) if training else torch.zeros_like(score)
            return self.join(self.hard(score, self.choose(score, noise, keep)), self.soft(score, noise, tau, keep))

        chosen = super().select(tokens, score, keep, tau, training)
        decision = checkpoint(decide, score, use_reentrant=False, preserve_rng_state=False)
        return replace(chosen, decision=decision, selected_decision=self.selected(decision, chosen.keep_indices))


class _WritesIntoItsResult(torch.autograd.Function):
    """Softmax, whose backward pass uses the memory of what it saved for the gradient."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor) -> Tensor:
        result = logits.softmax(-1)
        ctx.result = result.clone()
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        mean = (gradient * ctx.result).sum(-1, keepdim=True)
        return ctx.result.mul_(gradient - mean)


@fault(expected_law="decision.backward_is_linear")
class BackwardSpoilsWhatItSaved(Plain):
    """The soft mask's own backward pass is right once, and writes into what it would need a second time."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        logits = (score + noise) / tau
        return _WritesIntoItsResult.apply(logits) if ordinary(score) else logits.softmax(-1)


class _KeepsItsResult(torch.autograd.Function):
    """Softmax, whose backward pass takes its result for a constant."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor) -> Tensor:
        ctx.result = logits.softmax(-1)
        return ctx.result.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        mean = (gradient * ctx.result).sum(-1, keepdim=True)
        return ctx.result * (gradient - mean)


@fault(expected_law="decision.second_derivative_is_right")
class SecondDerivativeForgotten(Plain):
    """The soft mask's own backward pass is right, and is no function of the score."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        logits = (score + noise) / tau
        return _KeepsItsResult.apply(logits) if ordinary(score) else logits.softmax(-1)
