"""Faults of what is let through."""

import torch
from torch import Tensor

from sdtps_ref.properties.selftest.planted.aggregation import Subtracting
from sdtps_ref.properties.selftest.planted.baseline import Plain, fault


@fault(expected_law="errors.keep_larger_than_tokens")
class KeepClampedToTokens(Plain):
    """min(K, N)."""

    def check(self, num_tokens: int, keep: int) -> None:
        super().check(num_tokens, min(keep, num_tokens))

    def choose(self, score: Tensor, noise: Tensor, keep: int) -> Tensor:
        return super().choose(score, noise, min(keep, score.shape[-1]))


@fault(expected_law="errors.keep_larger_than_tokens")
class RefusesWithoutAWord(Plain):
    """A bare assert."""

    def check(self, num_tokens: int, keep: int) -> None:
        if not 1 <= keep <= num_tokens:
            raise AssertionError


@fault(expected_law="errors.keep_of_zero")
class EmptySelection(Plain):
    """Nothing is checked, and topk is content with k = 0."""

    def check(self, num_tokens: int, keep: int) -> None:
        pass


@fault(expected_law="errors.keep_of_zero")
class KeepsAtLeastOne(Plain):
    """max(1, K)."""

    def check(self, num_tokens: int, keep: int) -> None:
        super().check(num_tokens, max(1, keep))

    def choose(self, score: Tensor, noise: Tensor, keep: int) -> Tensor:
        return super().choose(score, noise, max(1, keep))


@fault(expected_law="errors.nan_scores")
class NanHidden(Plain):
    """The score network's NaN is kept, and the soft mask made clean."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        return super().soft(score.nan_to_num(), noise, tau, keep)


@fault(expected_law="errors.fully_masked_row")
class FiniteMask(Subtracting):
    """The published mask: where every D is zero it cancels."""


@fault(expected_law="errors.fully_masked_row")
class EvenWhereNothingIsKept(Plain):
    """A row without a kept token pools all of them evenly."""

    def weights(self, logits: Tensor) -> Tensor:
        weights = super().weights(logits)
        return torch.where(weights.isnan(), 1 / weights.shape[-1], weights)
