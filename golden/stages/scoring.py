"""Equations 1 to 3: predicted significance, min-max normalised relevance, and their sum."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from mpmath import mpf

from sdtps_ref.golden import exact_math, oracle_scoring
from sdtps_ref.golden.autodiff import gelu, numbers, total
from sdtps_ref.golden.draw import Draw
from sdtps_ref.golden.stage import Array, CaseSpec, Inputs, Outputs, Stage, largest, ulps
from sdtps_ref.golden.vectors import Tolerance

FLOOR = 1e-3  # of a spread, and of a norm: far below those of every case that is not flagged for it
RELEVANCES = ("sparse", "dense", "image")
SIZES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("an ordinary score", "Ordinary", {"B": 2, "N": 6, "C": 8}),
    ("one sample", "OneSample", {"B": 1, "N": 7, "C": 8}),
    ("as many samples as tokens", "SquareBatch", {"B": 4, "N": 4, "C": 8}),
    ("one token", "OneToken ConstantRow", {"B": 2, "N": 1, "C": 8}),
    ("one channel", "OneChannel", {"B": 2, "N": 5, "C": 1}),
    ("a longer row", "ManyTokens", {"B": 1, "N": 40, "C": 4}),
    ("every token is the same", "SameTokens ConstantRow", {"B": 2, "N": 5, "C": 8, "same": True}),
    ("beta of a half: no prediction", "Beta", {"B": 2, "N": 5, "C": 8, "beta": 0.5}),
    ("beta of 0.125", "Beta", {"B": 2, "N": 5, "C": 8, "beta": 0.125}),
    ("large biases of the predictor", "LargeBias", {"B": 2, "N": 5, "C": 8, "bias": 16.0}),
)

CLOSE = ("relevances closer than the floor", "SmallSpread", {"B": 2, "N": 5, "C": 8, "same": True, "step": 2**-12})


def score_parameters(draw: Draw, dim: int, bias: float = 1.0) -> Inputs:
    """Weights of the predictor's MLP, numbers of every format."""
    hidden = max(1, dim // 4)
    return {
        "hidden_weight": draw.grid(hidden, dim, low=-24, high=24),
        "hidden_bias": draw.grid(hidden, low=-32, high=32),
        "score_weight": draw.grid(1, hidden, low=-48, high=48),
        "score_bias": bias * draw.grid(1, low=-32, high=32),
    }


def _sketches() -> Iterator[CaseSpec]:
    for number, (comment, flags, size) in enumerate([*SIZES, *SIZES, CLOSE, CLOSE]):
        yield CaseSpec(comment, tuple(flags.split()), _inputs(Draw(9000 + number), **size), ("float64", "float32"))


def _inputs(
    draw: Draw, *, B: int, N: int, C: int, beta: float = 0.25, same: bool = False, bias: float = 1.0, step: float = 0.0
) -> Inputs:
    tokens = draw.grid(B, N, C)
    if same:
        tokens[:] = tokens[:, :1]
    if step:
        tokens[..., 0] += step * np.arange(N)
    features = {name: draw.grid(B, C) for name in RELEVANCES[:2]}
    return {"tokens": tokens, **features, "beta": beta, "parameters": score_parameters(draw, C, bias)}


def predicted(tokens: exact_math.Matrix, parameters: Mapping[str, Any]) -> exact_math.Row:
    """Equation 1, for one sample."""
    p = {name: numbers(value) for name, value in parameters.items()}
    hidden = [[gelu(x) for x in row] for row in exact_math.linear(tokens, p["hidden_weight"], p["hidden_bias"])]
    return [exact_math.sigmoid(row[0]) for row in exact_math.linear(hidden, p["score_weight"], p["score_bias"])]


def _exact(inputs: Inputs) -> Outputs:
    outputs: dict[str, list] = {}
    beta, floor = mpf(inputs["beta"]), mpf(FLOOR)
    for sample in range(len(inputs["tokens"])):
        tokens = numbers(inputs["tokens"][sample])
        count, channels = mpf(len(tokens)), mpf(len(tokens[0]))
        features = {name: numbers(inputs[name][sample]) for name in RELEVANCES[:2]}
        features["image"] = [total(column) / count for column in zip(*tokens, strict=True)]
        rows = {
            name: exact_math.min_max([exact_math.dot(v, feature) / channels for v in tokens], floor)
            for name, feature in features.items()
        }
        s_p = predicted(tokens, inputs["parameters"])
        score = [
            (1 - 2 * beta) * p + beta * (st + dt + 2 * im)
            for p, st, dt, im in zip(s_p, rows["sparse"], rows["dense"], rows["image"], strict=True)
        ]
        named = {f"{name}_relevance": row for name, row in rows.items()}
        for name, row in {"predicted_score": s_p, **named, "score": score}.items():
            outputs.setdefault(name, []).append(row)
    return outputs


def _oracle(inputs: Inputs) -> Outputs:
    tokens = inputs["tokens"]
    features = {"sparse": inputs["sparse"], "dense": inputs["dense"], "image": tokens.mean(axis=1)}
    rows = {name: oracle_scoring.min_max(oracle_scoring.relevance(tokens, e)) for name, e in features.items()}
    s_p = oracle_scoring.predicted_score(tokens, oracle_scoring.ScoreParameters(**inputs["parameters"]))
    score = oracle_scoring.score(s_p, rows["sparse"], rows["dense"], rows["image"], inputs["beta"])
    return {"predicted_score": s_p, "score": score} | {f"{name}_relevance": row for name, row in rows.items()}


def _tolerance(inputs: Inputs, values: dict[str, Array]) -> Mapping[str, Tolerance]:
    tokens = inputs["tokens"]
    features = {"sparse": inputs["sparse"], "dense": inputs["dense"], "image": tokens.mean(axis=1)}
    spread = min(float(np.ptp((tokens * e[:, None, :]).mean(-1), axis=-1).min()) for e in features.values())
    # A relevance is a sum of products, and min-max divides its rounding by the spread. Rounded to whole
    # powers of two, so that numpy's own rounding cannot move the allowance.
    error = largest(tokens) * largest(*features.values()) / max(spread, FLOOR)
    units = ulps(8 + 2 * 2 ** np.ceil(np.log2(error)))
    return {name: Tolerance(1.0, units) for name in values}


TITLE = (
    "predicted_score = sigmoid(MLP(v)), relevance = minmax over the tokens of (v . E) / C to the sparse text, the "
    "dense text and the image (the mean token), score = (1 - 2 beta) predicted + beta (sparse + dense + 2 "
    "image). The spread "
    "that min-max divides by counts as 1e-3 at least. Needs `scorer` with load_weights."
)
STAGE = Stage("scoring", TITLE, _sketches, _exact, _oracle, _tolerance)
