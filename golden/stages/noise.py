"""Gumbel noise from uniforms that are given."""

from collections.abc import Iterator, Mapping

import numpy as np

from sdtps_ref.golden import exact_math, oracle
from sdtps_ref.golden.autodiff import numbers
from sdtps_ref.golden.draw import Draw
from sdtps_ref.golden.stage import Array, CaseSpec, Inputs, Outputs, Stage, ulps
from sdtps_ref.golden.vectors import Tolerance


def _sketches() -> Iterator[CaseSpec]:
    for number, shape in enumerate([(2, 7), (1, 5), (4, 4), (1, 1), (3, 16), (1, 40)]):
        flags = {(1, 1): "OneToken", (1, 5): "OneSample", (4, 4): "SquareBatch", (1, 40): "ManyTokens"}
        uniform = Draw(100 + number).uniforms(*shape)
        yield CaseSpec(f"uniforms of shape {shape}", (flags.get(shape, "Ordinary"),), {"uniform": uniform})

    def edge(comment: str, *row: float, flag: str = "EdgeUniform") -> CaseSpec:
        return CaseSpec(comment, (flag,), {"uniform": np.array([row])})

    yield edge("the uniforms nearest to 1/e, where the noise changes its sign", 0.3671875, 0.3681640625, 0.369140625)
    yield edge("small powers of two, which every format holds", *(2.0**-k for k in (8, 20, 64, 100, 126)))
    yield edge("smaller than any float32", 2.0**-150, 2.0**-500, 2.0**-1022)
    yield edge("the largest uniforms below 1 in bfloat16", 1 - 2.0**-8, 1 - 2.0**-7)
    yield edge("the largest uniforms below 1 in float32", 1 - 2.0**-24, 1 - 2.0**-23, 1 - 2.0**-12)
    yield edge("the largest uniforms below 1 in float64", 1 - 2.0**-53, 1 - 2.0**-52, 1 - 2.0**-40)
    yield edge("a half, and its neighbours in float64", 0.5, 0.5 - 2.0**-54, 0.5 + 2.0**-53)
    yield edge("decimal uniforms, which only float64 holds", 0.1, 0.01, 1e-10, 0.9, 0.999999)
    yield edge("an exact zero among others", 0.0, 0.25, 0.5, flag="InfiniteNoise")
    yield edge("an exact one among others", 1.0, 0.25, 0.5, flag="InfiniteNoise")
    yield edge("zeros and ones alone", 0.0, 1.0, flag="InfiniteNoise")


def _exact(inputs: Inputs) -> Outputs:
    return {"gumbel_noise": [[exact_math.gumbel_noise(u) for u in row] for row in numbers(inputs["uniform"])]}


def _oracle(inputs: Inputs) -> Outputs:
    uniform: Array = inputs["uniform"]
    inside = (uniform > 0) & (uniform < 1)
    noise = oracle.gumbel_noise(np.where(inside, uniform, 0.5))
    return {"gumbel_noise": np.where(inside, noise, np.where(uniform == 0, -np.inf, np.inf))}


def _tolerance(inputs: Inputs, values: dict[str, Array]) -> Mapping[str, Tolerance]:
    # log near one cannot be better than the rounding of its argument: absolute below 1, relative above.
    return {"gumbel_noise": Tolerance(1.0, ulps(4))}


STAGE = Stage("noise", "gumbel_noise = -log(-log(uniform)).", _sketches, _exact, _oracle, _tolerance)
