"""Right ways to draw the noise, and to let the soft mask through."""

from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.selftest.planted.baseline import Plain, variant


@variant
class ExponentialNoise(Plain):
    """-log of an exponential variable, as in F.gumbel_softmax: in the score's own dtype."""

    def noise(self, score: Tensor) -> Tensor:
        return -torch.empty_like(score, memory_format=torch.legacy_contiguous_format).exponential_().log()


@variant
class NoiseOfTorchDistributions(Plain):
    """torch.distributions.Gumbel."""

    def noise(self, score: Tensor) -> Tensor:
        zeros = torch.zeros(score.shape, dtype=torch.float32, device=score.device)
        return torch.distributions.Gumbel(zeros, 1.0).sample().to(score.dtype)


@variant
class NoiseWithSmallEpsilon(Plain):
    """-log(-log(U + eps) + eps) with the usual 1e-10, drawn in float32."""

    def noise(self, score: Tensor) -> Tensor:
        uniform = torch.rand(score.shape, dtype=torch.float32, device=score.device)
        return -torch.log(-torch.log(uniform + 1e-10) + 1e-10).to(score.dtype)


@variant
class SoftMaskInFloat32(Plain):
    """The softmax in float32, whatever the score's dtype."""

    def soft(self, score: Tensor, noise: Tensor, tau: float, keep: int) -> Tensor:
        return torch.softmax((score + noise).float() / tau, dim=-1).to(score.dtype)


@variant
class TorchOrderStraightThrough(Plain):
    """hard - sg(soft) + soft, in the order of F.gumbel_softmax: exact."""

    def join(self, hard: Tensor, soft: Tensor) -> Tensor:
        return hard - soft.detach() + soft


class _Through(torch.autograd.Function):
    """Forward the hard mask, backward the soft one."""

    @staticmethod
    def forward(ctx: Any, hard: Tensor, soft: Tensor) -> Tensor:
        return hard.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        return None, gradients[0]


@variant
class AutogradFunctionStraightThrough(Plain):
    """A torch.autograd.Function."""

    def join(self, hard: Tensor, soft: Tensor) -> Tensor:
        return _Through.apply(hard, soft)
