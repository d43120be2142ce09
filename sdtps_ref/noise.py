"""Gumbel noise: what makes the soft mask explore, and what the forward pass never sees."""

import torch
from torch import Generator, Tensor


def gumbel_from_uniform(uniform: Tensor) -> Tensor:
    """-log(-log U), finite on the closed interval [0, 1].

    uniform: any shape, floating point. Same shape and dtype out. A zero counts as the smallest normal
    number and a one as the largest number below one, because generators return exact zeros (in
    bfloat16 once in 500 draws) and the formula is infinite at both ends.
    Source: DESIGN, `gumbel_noise`; Jang et al. 2017, equation 1.
    """
    limits = torch.finfo(uniform.dtype)
    inside = uniform.clamp(limits.tiny, 1 - limits.eps / 2)
    return -torch.log(-torch.log(inside))


def gumbel_noise(score: Tensor, generator: Generator | None = None) -> Tensor:
    """Independent Gumbel(0, 1) noise in the shape, dtype and device of `score` (B N).

    Drawn from `generator`, or from torch's global one when None, in float32 at least: half precision
    has too few uniforms near zero and one to make Gumbel tails from. The draw depends on the shape
    alone, not on the strides (`torch.rand_like` would follow them).
    """
    dtype = torch.float64 if score.dtype == torch.float64 else torch.float32
    uniform = torch.rand(score.shape, generator=generator, dtype=dtype, device=score.device)
    return gumbel_from_uniform(uniform).to(score.dtype)
