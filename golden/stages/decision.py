"""The decision matrix: hard in the forward pass, whatever the noise."""

from collections.abc import Iterator, Mapping

from sdtps_ref.golden import exact_math, oracle
from sdtps_ref.golden.autodiff import numbers
from sdtps_ref.golden.scenarios import situations
from sdtps_ref.golden.stage import Array, CaseSpec, Inputs, Outputs, Stage
from sdtps_ref.golden.vectors import Tolerance


def _sketches() -> Iterator[CaseSpec]:
    for s in situations(3):
        inputs = {"score": s.score, "uniform": s.uniform, "keep": s.keep, "tau": s.tau}
        yield CaseSpec(s.comment, s.flags, inputs)


def _exact(inputs: Inputs) -> Outputs:
    score = numbers(inputs["score"])
    kept = [exact_math.keep_indices(row, inputs["keep"]) for row in score]
    return {"keep_indices": kept, "decision": [exact_math.hard_mask(k, len(score[0])) for k in kept]}


def _oracle(inputs: Inputs) -> Outputs:
    kept = oracle.keep_indices(inputs["score"], inputs["keep"])
    return {"keep_indices": kept, "decision": oracle.hard_mask(kept, inputs["score"].shape[1])}


def _tolerance(inputs: Inputs, values: dict[str, Array]) -> Mapping[str, Tolerance]:
    return {}


TITLE = (
    "decision = hard_mask + (soft_mask - stop_gradient(soft_mask)): forward exactly the hard mask of the noiseless "
    "score, with the noise of any uniform, in train and in eval mode."
)
STAGE = Stage("decision", TITLE, _sketches, _exact, _oracle, _tolerance)
