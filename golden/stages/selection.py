"""What is kept: positions, tokens, and the decision at them."""

from collections.abc import Iterator, Mapping

import numpy as np
from mpmath import mpf

from sdtps_ref.golden import exact_math, oracle
from sdtps_ref.golden.autodiff import numbers
from sdtps_ref.golden.scenarios import situations
from sdtps_ref.golden.stage import Array, CaseSpec, Inputs, Outputs, Stage
from sdtps_ref.golden.vectors import Tolerance


def _sketches() -> Iterator[CaseSpec]:
    for s in situations(4, channels=3):
        inputs = {"tokens": s.tokens, "score": s.score, "keep": s.keep, "tau": s.tau}
        yield CaseSpec(s.comment, s.flags, inputs)


def _exact(inputs: Inputs) -> Outputs:
    tokens, score = numbers(inputs["tokens"]), numbers(inputs["score"])
    kept = [exact_math.keep_indices(row, inputs["keep"]) for row in score]
    return {
        "keep_indices": kept,
        "selected_tokens": [[sample[n] for n in k] for sample, k in zip(tokens, kept, strict=True)],
        "selected_decision": [[mpf(1) for _ in k] for k in kept],
    }


def _oracle(inputs: Inputs) -> Outputs:
    kept = oracle.keep_indices(inputs["score"], inputs["keep"])
    decision = oracle.hard_mask(kept, inputs["score"].shape[1])
    return {
        "keep_indices": kept,
        "selected_tokens": oracle.selected_tokens(inputs["tokens"], kept),
        "selected_decision": np.take_along_axis(decision, kept, axis=1),
    }


def _tolerance(inputs: Inputs, values: dict[str, Array]) -> Mapping[str, Tolerance]:
    return {}


TITLE = (
    "keep_indices = topk(score, K), selected_tokens = tokens at them, selected_decision = decision at them. The order "
    "of the kept is an implementation's own: here descending by score."
)
STAGE = Stage("selection", TITLE, _sketches, _exact, _oracle, _tolerance)
