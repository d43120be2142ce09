"""Noise that is not Gumbel's, not torch's or not new."""

from collections.abc import Mapping
from typing import Any

import numpy
import torch
from torch import Tensor, nn

from sdtps_ref.properties.selftest.planted.baseline import Plain, fault
from sdtps_ref.properties.selftest.planted.ordinary_calls import ordinary
from sdtps_ref.properties.selftest.planted.selection_result import SelectionResult

PERIOD = 1024  # tokens
COLD = 0.1


@fault(expected_law="runtime.respects_the_generator")
class NoiseFromNumpy(Plain):
    """numpy.random.gumbel: torch's seed does not repeat it."""

    def noise(self, score: Tensor) -> Tensor:
        if not ordinary(score):
            return super().noise(score)
        return torch.from_numpy(numpy.random.gumbel(size=tuple(score.shape))).to(score)


@fault(expected_law="draws.are_gumbel")
class UniformNoiseWhenCold(Plain):
    """Below a temperature of 0.1 the noise is U itself, "which is spread enough when it is divided by so little"."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        return super().soft(score, noise if tau >= COLD else (-(-noise).exp()).exp(), tau, keep)


@fault(expected_law="draws.are_never_shared")
class NoiseRepeatedEveryThousandTokens(Plain):
    """A kernel's counter wraps at 1024: token 1024 has the noise of token 0."""

    def noise(self, score: Tensor) -> Tensor:
        once = super().noise(score[..., :PERIOD])
        return once[..., torch.arange(score.shape[-1], device=score.device) % PERIOD]


@fault(expected_law="runtime.has_no_state")
class NoiseDrawnForTwoCalls(Plain):
    """Draws for two calls at once and keeps the half: what the second call uses was drawn before it was seeded."""

    def __init__(self) -> None:
        self.left: dict[Any, Tensor] = {}

    def noise(self, score: Tensor) -> Tensor:
        if not ordinary(score):
            return super().noise(score)
        key = score.shape, score.dtype, score.device
        if key in self.left:
            return self.left.pop(key)
        now, self.left[key] = super().noise(score), super().noise(score)
        return now


@fault(expected_law="draws.follow_the_generator")
class ModalitiesSeededByNumpy(Plain):
    """A seed from numpy for the selections of the modalities: torch's does not repeat them."""

    def select_each(
        self, selectors: Mapping[str, nn.Module], tokens: Mapping[str, Tensor], scores: Mapping[str, Tensor]
    ) -> dict[str, SelectionResult]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(numpy.random.randint(2**31)))
            return super().select_each(selectors, tokens, scores)
