"""The multi-modal form: every modality selects among its own tokens, guided by its own feature and the others'."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from mpmath import mpf

from sdtps_ref.golden import exact_math, oracle, oracle_scoring
from sdtps_ref.golden.autodiff import numbers, total
from sdtps_ref.golden.draw import Draw
from sdtps_ref.golden.stage import Array, CaseSpec, Inputs, Outputs, Stage, largest, slot_parameters, ulps
from sdtps_ref.golden.stages.scoring import FLOOR, predicted, score_parameters
from sdtps_ref.golden.vectors import Tolerance

SIZES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("rgb, near and thermal infrared", "Ordinary", {"B": 2, "N": 6, "K": 3, "C": 8, "M": 2}),
    ("one sample", "OneSample", {"B": 1, "N": 7, "K": 4, "C": 8, "M": 3}),
    ("as many samples as tokens", "SquareBatch", {"B": 4, "N": 4, "K": 2, "C": 8, "M": 1}),
    ("one token is kept", "KeepOne OneSlot", {"B": 2, "N": 5, "K": 1, "C": 8, "M": 1}),
    ("every token is kept", "KeepAll", {"B": 2, "N": 4, "K": 4, "C": 8, "M": 2}),
    ("as many slots as kept tokens", "ManySlots", {"B": 1, "N": 6, "K": 3, "C": 8, "M": 3}),
    ("one modality", "Modalities", {"B": 2, "N": 6, "K": 3, "C": 8, "M": 2, "names": ("rgb",)}),
    ("two modalities", "Modalities", {"B": 2, "N": 6, "K": 3, "C": 8, "M": 2, "names": ("rgb", "tir")}),
    (
        "four modalities",
        "Modalities",
        {"B": 1, "N": 5, "K": 2, "C": 8, "M": 1, "names": ("rgb", "nir", "tir", "depth")},
    ),
    ("a longer row", "ManyTokens", {"B": 1, "N": 40, "K": 17, "C": 4, "M": 3}),
)


def _sketches() -> Iterator[CaseSpec]:
    for number, (comment, flags, size) in enumerate([*SIZES, *SIZES]):
        yield CaseSpec(comment, tuple(flags.split()), _inputs(10_000 + number, **size), ("float64", "float32"))


def _inputs(seed: int, **size: object) -> Inputs:
    # A score is computed here, not given. Where it leaves the last kept and the first dropped close, one
    # format's rounding would choose another: such values are passed over.
    for attempt in range(100):
        inputs = _drawn(Draw(100 * seed + attempt), **size)  # type: ignore[arg-type]
        if all(_gap(inputs, name) > 1e-2 for name in inputs["tokens"]):
            return inputs
    raise AssertionError("no values with a clear choice in 100 draws")


def _drawn(
    draw: Draw, *, B: int, N: int, K: int, C: int, M: int, names: tuple[str, ...] = ("rgb", "nir", "tir")
) -> Inputs:
    return {
        "tokens": {name: draw.grid(B, N, C) for name in names},
        "global_features": {name: draw.grid(B, C) for name in names},
        "keep": K,
        "slots": M,
        "tau": 1.0,
        "beta": 0.25,
        "parameters": {name: slot_parameters(draw, C, M) for name in names},
        "score_parameters": {name: score_parameters(draw, C) for name in names},
    }


def _gap(inputs: Inputs, name: str) -> float:
    ordered = np.sort(_oracle_score(inputs, name), axis=-1)[:, ::-1]
    keep = inputs["keep"]
    return float((ordered[:, keep - 1] - ordered[:, keep]).min()) if keep < ordered.shape[1] else np.inf


def _oracle_score(inputs: Inputs, name: str) -> Array:
    tokens, features, beta = inputs["tokens"][name], inputs["global_features"], inputs["beta"]
    parameters = oracle_scoring.ScoreParameters(**inputs["score_parameters"][name])
    rows = {other: oracle_scoring.min_max(oracle_scoring.cosine_relevance(tokens, e)) for other, e in features.items()}
    others = sum((row for other, row in rows.items() if other != name), np.zeros(tokens.shape[:2]))
    return (1 - 2 * beta) * oracle_scoring.predicted_score(tokens, parameters) + beta * (others + 2 * rows[name])


def _oracle(inputs: Inputs) -> Outputs:
    outputs: Outputs = {}
    for name, tokens in inputs["tokens"].items():
        score = _oracle_score(inputs, name)
        slots = oracle.SlotParameters(**inputs["parameters"][name])
        noise = np.zeros_like(score)
        result = oracle.pipeline(tokens, score, noise, keep=inputs["keep"], tau=inputs["tau"], aggregation_logits=slots)
        extra = oracle.extra_token(tokens, score, result.keep_indices)
        outputs[f"{name}_score"], outputs[f"{name}_decision"] = score, result.decision
        outputs[f"{name}_tokens"] = np.concatenate([result.aggregated_tokens, extra], axis=1)
    return outputs


def _exact(inputs: Inputs) -> Outputs:
    outputs: dict[str, list] = {}
    for name in inputs["tokens"]:
        for sample in range(len(inputs["tokens"][name])):
            for output, value in _exact_sample(inputs, name, sample).items():
                outputs.setdefault(f"{name}_{output}", []).append(value)
    return outputs


def _exact_sample(inputs: Inputs, name: str, sample: int) -> Outputs:
    tokens, beta, floor = numbers(inputs["tokens"][name][sample]), mpf(inputs["beta"]), mpf(FLOOR)
    rows = {}
    for other, feature in inputs["global_features"].items():
        e = numbers(feature[sample])
        rows[other] = exact_math.min_max([exact_math.cosine(v, e, floor) for v in tokens], floor)
    s_p = predicted(tokens, inputs["score_parameters"][name])
    guided = [total(row[n] * (2 if other == name else 1) for other, row in rows.items()) for n in range(len(tokens))]
    score = [(1 - 2 * beta) * p + beta * g for p, g in zip(s_p, guided, strict=True)]
    kept = exact_math.keep_indices(score, inputs["keep"])
    v_s = [tokens[n] for n in kept]
    weights = exact_math.weights(exact_math.aggregation_logits(v_s, numbers(inputs["parameters"][name])), None)
    pooled = [*exact_math.aggregate(weights, v_s), exact_math.extra_token(tokens, score, kept)]
    return {"score": score, "decision": exact_math.hard_mask(kept, len(tokens)), "tokens": pooled}


def _tolerance(inputs: Inputs, values: dict[str, Array]) -> Mapping[str, Tolerance]:
    found = {}
    for name, tokens in inputs["tokens"].items():
        found[f"{name}_score"] = Tolerance(1.0, ulps(64))
        found[f"{name}_tokens"] = Tolerance(largest(tokens), ulps(64))
    return found


TITLE = (
    "Each modality's score is (1 - 2 beta) predicted + beta (sum of relevance to the others' features + 2 relevance to "
    "its own), with relevance = minmax of the cosine; its tokens are the M slots and then the extra token. Needs "
    "`multimodal` with load_weights; the noise changes nothing here."
)
STAGE = Stage("multimodal", TITLE, _sketches, _exact, _oracle, _tolerance)
