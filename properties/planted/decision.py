"""Faults of what D's gradient is, and of a noise that reaches the forward pass."""

import torch
from torch import Tensor

from sdtps_ref.properties.planted.plain import Plain, fault


@fault(kills="decision.ignores_noise_forward")
class OrderOfTheNoisyScore(Plain):
    """The right tokens, in the order of score plus noise: no two steps pair them with the same positions."""

    def choose(self, score: Tensor, noise: Tensor, keep: int) -> Tensor:
        kept = torch.topk(score, keep, dim=-1).indices
        order = (score + noise).gather(-1, kept).argsort(dim=-1, descending=True)
        return kept.gather(-1, order)


@fault(kills="decision.backward_is_softmax")
class ScaledSoftMask(Plain):
    """2 * soft: the gradient is twice what it should be."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        return 2 * super().soft(score, noise, tau, keep)


@fault(kills="decision.backward_is_softmax")
class SoftMaskOfSumK(Plain):
    """The soft mask is scaled to sum to K, as the hard one does."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        return keep * super().soft(score, noise, tau, keep)


@fault(kills="decision.backward_is_softmax")
class SigmoidSoftMask(Plain):
    """A sigmoid: every token for itself."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        return torch.sigmoid((score + noise) / tau)


@fault(kills="decision.backward_is_softmax")
class SoftmaxOverTheBatch(Plain):
    """dim=0: the samples of a batch compete."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        return torch.softmax((score + noise) / tau, dim=0)


@fault(kills="decision.backward_is_softmax")
class DetachedNormaliser(Plain):
    """exp(x) / sum(exp(x)) with the sum detached: raising one score no longer lowers the others' masks."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        scaled = (score + noise) / tau
        return (scaled - scaled.detach().logsumexp(-1, keepdim=True)).exp()


@fault(kills="decision.backward_is_softmax")
class TemperatureIgnored(Plain):
    """tau is taken and never used."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        return super().soft(score, noise, 1.0, keep)


@fault(kills="decision.backward_is_softmax")
class TemperatureMultiplied(Plain):
    """Times tau, not divided by it."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        return super().soft(score, noise, 1 / tau, keep)
