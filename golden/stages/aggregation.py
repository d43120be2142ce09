"""Kept tokens, pooled into slots by the masked softmax."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sdtps_ref.golden import exact_math, oracle
from sdtps_ref.golden.autodiff import numbers
from sdtps_ref.golden.draw import Draw
from sdtps_ref.golden.stage import Array, CaseSpec, Inputs, Outputs, Stage, largest, pooled_error, slot_parameters, ulps
from sdtps_ref.golden.vectors import Tolerance

# Two of each: what is seen once may be an accident of the values.
SIZES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("an ordinary aggregation", "Ordinary", {"B": 2, "K": 5, "C": 10, "M": 3}),
    ("one sample", "OneSample", {"B": 1, "K": 4, "C": 10, "M": 2}),
    ("as many samples as tokens", "SquareBatch", {"B": 4, "K": 4, "C": 5, "M": 2}),
    ("one token", "KeepOne", {"B": 2, "K": 1, "C": 10, "M": 3}),
    ("as many slots as tokens", "ManySlots", {"B": 2, "K": 4, "C": 10, "M": 4}),
    ("more slots than tokens", "ManySlots", {"B": 1, "K": 3, "C": 10, "M": 7}),
    ("one slot", "OneSlot", {"B": 2, "K": 5, "C": 10, "M": 1}),
    ("one channel", "OneChannel", {"B": 2, "K": 4, "C": 1, "M": 2}),
    ("a longer row", "ManyTokens", {"B": 1, "K": 40, "C": 5, "M": 3}),
    ("some tokens dropped", "SomeDropped", {"B": 2, "K": 6, "C": 10, "M": 3, "dropped": 2}),
    ("all but one dropped", "SomeDropped KeepOne", {"B": 2, "K": 4, "C": 10, "M": 2, "dropped": 3}),
    ("no decision given", "NoDecision", {"B": 2, "K": 5, "C": 10, "M": 3, "dropped": None}),
    ("a scale of -2", "Scale", {"B": 2, "K": 4, "C": 10, "M": 3, "scale": -2.0}),
    ("a scale of 0.125", "Scale", {"B": 2, "K": 4, "C": 10, "M": 3, "scale": 0.125}),
    ("every token is the same", "SameTokens", {"B": 2, "K": 4, "C": 10, "M": 3, "same": True}),
    ("large biases", "LargeBias", {"B": 2, "K": 4, "C": 10, "M": 3, "large": True}),
)


def _sketches() -> Iterator[CaseSpec]:
    for number, (comment, flags, size) in enumerate([*SIZES, *SIZES]):
        yield CaseSpec(comment, tuple(flags.split()), _inputs(Draw(6000 + number), **size))


def _inputs(
    draw: Draw,
    *,
    B: int,
    K: int,
    C: int,
    M: int,
    dropped: int | None = 0,
    scale: float = 1.0,
    same: bool = False,
    large: bool = False,
) -> Inputs:
    tokens = draw.grid(B, K, C)
    if same:
        tokens[:] = tokens[:, :1]
    parameters = slot_parameters(draw, C, M, scale=scale)
    if large:
        hidden, slots = parameters["hidden_bias"], parameters["slots_bias"]
        parameters |= {"hidden_bias": 2 + 2 * hidden, "slots_bias": 8 * slots}
    decision: Any = None if dropped is None else (draw.rows(B, K).argsort().argsort() >= dropped).astype(np.float64)
    return {"tokens": tokens, "decision": decision, "parameters": parameters}


def _exact(inputs: Inputs) -> Outputs:
    tokens, decision = numbers(inputs["tokens"]), inputs["decision"]
    rows = [None] * len(tokens) if decision is None else numbers(decision)
    parameters = numbers(inputs["parameters"])
    logits = [exact_math.aggregation_logits(sample, parameters) for sample in tokens]
    weights = [exact_math.weights(one, row) for one, row in zip(logits, rows, strict=True)]
    pooled = [exact_math.aggregate(w, v) for w, v in zip(weights, tokens, strict=True)]
    return {"aggregation_logits": logits, "weights": weights, "aggregated_tokens": pooled}


def _oracle(inputs: Inputs) -> Outputs:
    logits = oracle.aggregation_logits(inputs["tokens"], oracle.SlotParameters(**inputs["parameters"]))
    weights = oracle.weights(logits, inputs["decision"])
    pooled = oracle.aggregate(weights, inputs["tokens"])
    return {"aggregation_logits": logits, "weights": weights, "aggregated_tokens": pooled}


def pooling_tolerance(tokens: Array, values: dict[str, Array]) -> dict[str, Tolerance]:
    """Of the three outputs of an aggregation."""
    logits = values["aggregation_logits"]
    error = pooled_error(logits)
    return {
        "aggregation_logits": Tolerance(max(1.0, largest(logits)), ulps(8)),
        "weights": Tolerance(1.0, ulps(error)),
        "aggregated_tokens": Tolerance(largest(tokens), ulps(error)),
    }


def _tolerance(inputs: Inputs, values: dict[str, Array]) -> Mapping[str, Tolerance]:
    return pooling_tolerance(inputs["tokens"], values)


TITLE = (
    "aggregation_logits = scale * transpose(Linear(GELU(Linear(LayerNorm(tokens))))), weights = softmax over the "
    "tokens of logits masked by the decision, aggregated_tokens = weights @ tokens. Needs an aggregator that has "
    "load_weights."
)
STAGE = Stage("aggregation", TITLE, _sketches, _exact, _oracle, _tolerance)
