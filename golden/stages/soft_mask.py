"""The soft mask, for noise that is given."""

from collections.abc import Iterator, Mapping

import numpy as np

from sdtps_ref.golden import exact_math, oracle
from sdtps_ref.golden.autodiff import numbers
from sdtps_ref.golden.scenarios import finite, situations
from sdtps_ref.golden.stage import Array, CaseSpec, Inputs, Outputs, Stage, largest, softmax_error, ulps
from sdtps_ref.golden.vectors import Tolerance

TINY = 2.0**-100  # below it float32 comes to its subnormals, which some machines flush to zero


def _sketches() -> Iterator[CaseSpec]:
    for s in filter(finite, situations(1)):
        noise = None if s.uniform is None else s.draw.grid(*s.score.shape, low=-64, high=127)
        yield CaseSpec(s.comment, s.flags, {"score": s.score, "gumbel_noise": noise, "tau": s.tau})
    for s in list(situations(2))[:2]:
        noise = s.draw.grid(*s.score.shape, low=-64, high=127)
        noise[:, 2] = -np.inf
        inputs = {"score": s.score, "gumbel_noise": noise, "tau": 1.0}
        yield CaseSpec("a noise of -inf, from a uniform of exactly 0", ("MaskedNoise",), inputs)


def _rows(inputs: Inputs) -> Iterator[tuple[list[exact_math.Number], list[exact_math.Number] | None]]:
    score = numbers(inputs["score"])
    noise = inputs["gumbel_noise"]
    return zip(score, [None] * len(score) if noise is None else numbers(noise), strict=True)


def _exact(inputs: Inputs) -> Outputs:
    tau = numbers(inputs["tau"])
    return {"soft_mask": [exact_math.soft_mask(score, noise, tau) for score, noise in _rows(inputs)]}


def _oracle(inputs: Inputs) -> Outputs:
    noise = inputs["gumbel_noise"]
    noise = np.zeros_like(inputs["score"]) if noise is None else np.maximum(noise, -1e300)
    return {"soft_mask": oracle.soft_mask(inputs["score"], noise, inputs["tau"])}


def _tolerance(inputs: Inputs, values: dict[str, Array]) -> Mapping[str, Tolerance]:
    noise = inputs["gumbel_noise"]
    error = softmax_error(inputs["score"], 0.0 if noise is None else largest(noise), inputs["tau"])
    return {"soft_mask": Tolerance(TINY, ulps(error))}


TITLE = "soft_mask = softmax((score + gumbel_noise) / tau) over the tokens; every entry to its own last place."
STAGE = Stage("soft_mask", TITLE, _sketches, _exact, _oracle, _tolerance)
