"""Faults of the noise: another distribution, one draw used twice, none at all, too much."""

import math

import torch
from torch import Tensor

from sdtps_ref.properties.selftest.planted.baseline import Plain, fault
from sdtps_ref.properties.selftest.planted.selection_result import SelectionResult


def _uniform(score: Tensor) -> Tensor:
    wide = torch.float64 if score.dtype == torch.float64 else torch.float32
    return torch.rand(score.shape, dtype=wide, device=score.device).clamp(1e-30, 1 - 1e-7)


@fault(expected_law="noise.is_gumbel")
class SingleLog(Plain):
    """-log(U): exponential noise."""

    def noise(self, score: Tensor) -> Tensor:
        return -torch.log(_uniform(score)).to(score.dtype)


@fault(expected_law="noise.is_gumbel")
class NoiseOfTheWrongSign(Plain):
    """log(-log(U)): a minus is missing, and the long tail points down."""

    def noise(self, score: Tensor) -> Tensor:
        return -super().noise(score)


@fault(expected_law="noise.is_gumbel")
class NoiseHalved(Plain):
    """0.5 times Gumbel noise."""

    def noise(self, score: Tensor) -> Tensor:
        return 0.5 * super().noise(score)


@fault(expected_law="noise.is_gumbel")
class NoiseDoubled(Plain):
    """Twice Gumbel noise."""

    def noise(self, score: Tensor) -> Tensor:
        return 2 * super().noise(score)


@fault(expected_law="noise.is_gumbel")
class NoiseAfterTheTemperature(Plain):
    """score / tau + noise: the temperature does not reach the noise."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        return torch.softmax(score / tau + noise, dim=-1)


@fault(expected_law="noise.is_gumbel")
class ClampedNoise(Plain):
    """Gumbel noise held between -2 and 3."""

    def noise(self, score: Tensor) -> Tensor:
        return super().noise(score).clamp(-2, 3)


@fault(expected_law="noise.is_gumbel")
class ClampedUniform(Plain):
    """U held 0.001 away from zero and one."""

    def noise(self, score: Tensor) -> Tensor:
        return -torch.log(-torch.log(_uniform(score).clamp(1e-3, 1 - 1e-3))).to(score.dtype)


@fault(expected_law="noise.is_gumbel")
class LargeEpsilon(Plain):
    """-log(-log(U + 1e-3) + 1e-3): no noise below -1.9."""

    def noise(self, score: Tensor) -> Tensor:
        return -torch.log(-torch.log(_uniform(score) + 1e-3) + 1e-3).to(score.dtype)


@fault(expected_law="noise.is_gumbel")
class NormalNoise(Plain):
    """Normal noise with the variance of Gumbel's."""

    def noise(self, score: Tensor) -> Tensor:
        return torch.randn(score.shape, dtype=torch.float32, device=score.device).to(score) * (math.pi / math.sqrt(6))


@fault(expected_law="noise.is_gumbel")
class UniformNoise(Plain):
    """U itself."""

    def noise(self, score: Tensor) -> Tensor:
        return _uniform(score).to(score.dtype)


@fault(expected_law="noise.is_gumbel")
class LogisticNoise(Plain):
    """log U - log(1 - U), the noise of a relaxed Bernoulli."""

    def noise(self, score: Tensor) -> Tensor:
        uniform = _uniform(score)
        return (torch.log(uniform) - torch.log1p(-uniform)).to(score.dtype)


@fault(expected_law="noise.is_independent")
class NoiseSharedAcrossRows(Plain):
    """One row of noise for the whole batch."""

    def noise(self, score: Tensor) -> Tensor:
        return super().noise(score[:1]).expand_as(score)


@fault(expected_law="noise.is_independent")
class NoiseRepeatedInTheBatch(Plain):
    """Drawn for three samples and repeated for the rest."""

    def noise(self, score: Tensor) -> Tensor:
        return super().noise(score[:3]).repeat(-(-len(score) // 3), 1)[: len(score)]


@fault(expected_law="noise.is_independent")
class NoisePartlyShared(Plain):
    """The maximum of a draw for all samples and one for each, which is Gumbel noise again after a shift."""

    def noise(self, score: Tensor) -> Tensor:
        shared = super().noise(score[:1]).expand_as(score)
        return torch.maximum(shared, super().noise(score)) - math.log(2)


@fault(expected_law="noise.is_independent")
class NoiseRepeatedOverTokens(Plain):
    """Drawn for half of the tokens and used for both halves."""

    def noise(self, score: Tensor) -> Tensor:
        half = super().noise(score[:, : (score.shape[1] + 1) // 2])
        return half.repeat(1, 2)[:, : score.shape[1]]


@fault(expected_law="noise.is_independent")
class CachedNoise(Plain):
    """Drawn once for each shape, and kept."""

    def __init__(self) -> None:
        self.drawn: dict[tuple[object, ...], Tensor] = {}

    def noise(self, score: Tensor) -> Tensor:
        key = (score.shape, score.dtype)
        if key not in self.drawn:
            self.drawn[key] = super().noise(score)
        return self.drawn[key]


@fault(expected_law="noise.is_independent")
class ReseededInForward(Plain):
    """torch.manual_seed(0) before each draw, to be reproducible."""

    def noise(self, score: Tensor) -> Tensor:
        torch.manual_seed(0)
        return super().noise(score)


@fault(expected_law="noise.is_present_in_training")
class NoiseNeverAdded(Plain):
    """Drawn, and not used."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        return torch.softmax(score / tau, dim=-1)


@fault(expected_law="noise.is_present_in_training")
class NoiseSharedAcrossTokens(Plain):
    """One number a sample, which softmax forgets."""

    def noise(self, score: Tensor) -> Tensor:
        return super().noise(score[:, :1]).expand_as(score)


@fault(expected_law="noise.is_absent_in_eval")
class NoiseInEval(Plain):
    """F.gumbel_softmax and the like, which do not ask for the mode."""

    def select(self, tokens: Tensor, score: Tensor, keep: int, tau: float, training: bool) -> SelectionResult:
        return super().select(tokens, score, keep, tau, True)


@fault(expected_law="noise.is_above_minus_infinity")
class UniformDrawnInHalf(Plain):
    """torch.rand in the score's dtype: an exact zero in 0.02 to 0.2 % of draws of half precision."""

    def noise(self, score: Tensor) -> Tensor:
        return -torch.log(-torch.log(torch.rand(score.shape, dtype=score.dtype, device=score.device)))


@fault(expected_law="noise.is_finite")
class UniformRoundedToHalf(Plain):
    """Clamped in float32, then rounded to float16, which makes a one of one draw in 4096: D is NaN."""

    def noise(self, score: Tensor) -> Tensor:
        uniform = _uniform(score)
        return -torch.log(-torch.log(uniform.half() if score.dtype == torch.float16 else uniform)).to(score.dtype)


@fault(expected_law="noise.is_above_minus_infinity")
class EpsilonLostInHalf(Plain):
    """+ 1e-10 on both logarithms, which float16 rounds to nothing."""

    def noise(self, score: Tensor) -> Tensor:
        uniform = torch.rand(score.shape, dtype=score.dtype, device=score.device)
        return -torch.log(-torch.log(uniform + 1e-10) + 1e-10)


@fault(expected_law="noise.is_finite_at_its_ends")
class EpsilonBeyondOne(Plain):
    """An epsilon that keeps U from 0 takes the largest U beyond 1: NaN, once in millions of draws."""

    def noise(self, score: Tensor) -> Tensor:
        wide = torch.float64 if score.dtype == torch.float64 else torch.float32
        uniform = torch.rand(score.shape, dtype=wide, device=score.device)
        return -torch.log(-torch.log(uniform + 1e-7)).to(score.dtype)
