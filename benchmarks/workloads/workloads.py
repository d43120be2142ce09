"""What is timed: one stage of an implementation at one size, with inputs to rotate, as in training."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from sdtps_ref.benchmarks.workloads.implementations import STAGE_METHODS
from sdtps_ref.benchmarks.workloads.own_call import call_of
from sdtps_ref.benchmarks.workloads.sizes import Size
from sdtps_ref.benchmarks.workloads.workload import MODALITIES, Inputs, Workload
from sdtps_ref.errors import InvalidInput
from sdtps_ref.properties.contract import CALL, provided
from sdtps_ref.properties.kit.values import modules_in, prepare

STAGES = tuple(STAGE_METHODS)
DTYPES = ("float32", "bfloat16")
TAU = 1.0


def make(
    implementation: Any, stage: str, size: Size, dtype: str, device: str, *, rotated: int = 2, training: bool = True
) -> Workload:
    """A stage of `implementation` (see the contract) with `rotated` different inputs, all from fixed seeds.

    stage: one of STAGES. dtype: "float32" or another of torch's names. device: "cpu", "cuda", "cuda:1".
    Raises InvalidInput for an unknown stage, or one that the implementation does not offer. torch's global
    generators are left as they were.
    """
    if stage == CALL:
        return call_of(implementation, dtype, device, rotated=rotated, training=training)
    if stage not in STAGE_METHODS:
        raise InvalidInput.given(f"stage={stage!r}", ", ".join(STAGES))
    method = STAGE_METHODS[stage]
    name = getattr(implementation, "name", type(implementation).__name__)
    if method not in provided(implementation):
        raise InvalidInput.given(f"stage {stage!r} of {name}, which has no {method}", "a stage that it offers")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        built = getattr(implementation, method)(**_arguments(method, size))
        torch_dtype = getattr(torch, dtype)
        prepare(built, torch_dtype, device, training)
        inputs = tuple(_inputs(stage, size, torch_dtype, device, seed) for seed in range(rotated))
    return Workload(name, stage, size, dtype, device, built, tuple(_parameters(built)), inputs)


def _arguments(method: str, size: Size) -> dict[str, Any]:
    """What the contract hands to the factory of that name."""
    if method == "aggregator":
        return {"dim": size.C, "slots": size.M}
    selection = {"dim": size.C, "num_tokens": size.N, "keep": size.K, "tau": TAU}
    if method == "selector":
        return selection
    slots = {"slots": size.M}
    return selection | slots | ({"modalities": MODALITIES} if method == "multimodal" else {})


def _parameters(built: Any) -> Iterable[Tensor]:
    every = (parameter for module in modules_in(built) for parameter in module.parameters())
    return dict.fromkeys(parameter for parameter in every if parameter.requires_grad)


def _inputs(stage: str, size: Size, dtype: torch.dtype, device: str, seed: int) -> Inputs:
    generator = torch.Generator(device).manual_seed(seed)

    def normal(*shape: int, of_leaf: bool = True) -> Tensor:
        drawn = torch.randn(shape, generator=generator, dtype=dtype, device=device)
        return drawn.requires_grad_(of_leaf)

    B, N, K, C, M = size.B, size.N, size.K, size.C, size.M
    if stage == "multimodal":
        alike = normal(B, 1, C, of_leaf=False)
        features = {name: (alike[:, 0] + 0.3 * normal(B, C, of_leaf=False)).requires_grad_() for name in MODALITIES}
        apart = {
            name: _tokens_apart(alike, normal(B, N, C, of_leaf=False), K, generator).requires_grad_()
            for name in MODALITIES
        }
        cotangents = tuple(normal(B, M + 1, C, of_leaf=False) for _ in MODALITIES)
        return Inputs((apart, features), (*apart.values(), *features.values()), cotangents)
    if stage == "aggregation":
        kept, decision = normal(B, K, C), torch.ones(B, K, dtype=dtype, device=device, requires_grad=True)
        return Inputs((kept, decision), (kept, decision), (normal(B, M, C, of_leaf=False),))
    tokens = normal(B, N, C)
    score = _scores(B, N, generator).to(dtype).requires_grad_()
    shapes = ((B, K, C), (B, N)) if stage == "selection" else ((B, M, C),)
    return Inputs((tokens, score), (tokens, score), tuple(normal(*shape, of_leaf=False) for shape in shapes))


def _tokens_apart(direction: Tensor, noise: Tensor, keep: int, generator: torch.Generator) -> Tensor:
    """Tokens of which K lie along `direction` (B 1 C) and the others against it, so that all keep the same K: B N C.

    Their cosines are about 0.7 and -0.7, but for one token of either kind, about 1 and -1: in bfloat16 too, relevance
    has one lowest and one highest token, through which the gradient of a min-max normalisation goes.
    """
    B, N, _ = noise.shape
    order = torch.rand(B, N, 1, generator=generator, device=noise.device).argsort(dim=1)
    sign = torch.where(order < keep, 1.0, -1.0).to(noise)
    extreme = (order == 0) | (order == N - 1)
    return sign * direction + torch.where(extreme, 0.1, 1.0).to(noise) * noise


def _scores(B: int, N: int, generator: torch.Generator) -> Tensor:
    """Shuffled scores that are different in bfloat16 too, up to N = 2048, so that all keep the same tokens: B N.

    A half below zero and a half above, each from 2**-6 to 2**2 in equal steps of the exponent: bfloat16 has 128
    numbers between two powers of two. The kept half ends at zero, where the gap is widest.
    """
    order = torch.rand(B, N, generator=generator, device=generator.device).argsort(dim=-1)
    beside = order - (N - 1) / 2  # whole and a half, or whole and one of them zero
    return beside.sign() * 2 ** (8 * beside.abs() / (N / 2) - 6)
