"""The dropped tokens, pooled into one."""

from collections.abc import Iterator, Mapping

from sdtps_ref.golden import exact_math, oracle
from sdtps_ref.golden.autodiff import numbers
from sdtps_ref.golden.draw import Draw
from sdtps_ref.golden.scenarios import situations
from sdtps_ref.golden.stage import Array, CaseSpec, Inputs, Outputs, Stage, largest, ulps
from sdtps_ref.golden.vectors import Tolerance


def _sketches() -> Iterator[CaseSpec]:
    for s in situations(5, channels=4):
        inputs = {"tokens": s.tokens, "score": s.score, "keep": s.keep, "tau": s.tau}
        yield CaseSpec(s.comment, s.flags, inputs)
    for number in (5500, 5501):
        draw = Draw(number)
        inputs = {"tokens": draw.grid(2, 5, 4), "score": draw.rows(2, 5), "keep": 4, "tau": 1.0}
        yield CaseSpec("one token is dropped", ("DropOne",), inputs)


def _exact(inputs: Inputs) -> Outputs:
    samples = zip(numbers(inputs["tokens"]), numbers(inputs["score"]), strict=True)
    pooled = [[exact_math.extra_token(v, s, exact_math.keep_indices(s, inputs["keep"]))] for v, s in samples]
    return {"extra_token": pooled}


def _oracle(inputs: Inputs) -> Outputs:
    kept = oracle.keep_indices(inputs["score"], inputs["keep"])
    return {"extra_token": oracle.extra_token(inputs["tokens"], inputs["score"], kept)}


def _tolerance(inputs: Inputs, values: dict[str, Array]) -> Mapping[str, Tolerance]:
    if not values["extra_token"].any():
        return {}
    return {"extra_token": Tolerance(largest(inputs["tokens"]), ulps(8))}


TITLE = (
    "extra_token = softmax(score of the dropped tokens) @ dropped tokens, without tau and without noise; zeros when "
    "nothing is dropped."
)
STAGE = Stage("extra_token", TITLE, _sketches, _exact, _oracle, _tolerance)
