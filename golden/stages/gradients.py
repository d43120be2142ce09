"""Gradients: of the decision to the score, and of the whole pipeline to score, tokens and logits."""

from collections.abc import Iterator, Mapping

from mpmath import mpf

from sdtps_ref.golden import exact_math, oracle
from sdtps_ref.golden.autodiff import gradients, numbers, on_tape, total
from sdtps_ref.golden.scenarios import finite, situations
from sdtps_ref.golden.stage import (
    Array,
    CaseSpec,
    Inputs,
    Outputs,
    Stage,
    given_noise,
    largest,
    noise_bound,
    pooled_error,
    slot_parameters,
    softmax_error,
    ulps,
)
from sdtps_ref.golden.vectors import Tolerance

GAIN = 1e10


def _sketches() -> Iterator[CaseSpec]:
    for s in filter(finite, situations(11, channels=5)):
        slots = max(1, s.keep - 1)
        inputs = {"tokens": s.tokens, "score": s.score, "uniform": s.uniform, "keep": s.keep, "tau": s.tau}
        whole = {
            "slots": slots,
            "parameters": slot_parameters(s.draw, s.tokens.shape[2], slots),
            "cotangent": s.draw.grid(len(s.tokens), slots, s.tokens.shape[2]),
            "gain": None,
        }
        yield CaseSpec(s.comment, s.flags, inputs | whole, ("float64", "float32"))
        if s.flags == ("Ordinary",) or s.uniform is None:
            only = inputs | {"decision_cotangent": s.draw.grid(*s.score.shape)}
            del only["tokens"]
            yield CaseSpec(f"{s.comment}; the decision alone", (*s.flags, "DecisionOnly"), only)
        if s.flags == ("Ordinary",):
            published = inputs | whole | {"gain": GAIN}
            yield CaseSpec(
                f"{s.comment}; the 1e10 mask", (*s.flags, "PublishedMask"), published, ("float64", "float32")
            )


def _exact(inputs: Inputs) -> Outputs:
    outputs: dict[str, list] = {}
    for sample in range(len(inputs["score"])):
        found = _of_decision(inputs, sample) if "decision_cotangent" in inputs else _of_pipeline(inputs, sample)
        for name, value in found.items():
            outputs.setdefault(name, []).append(value)
    return outputs


def _decision(inputs: Inputs, sample: int) -> tuple[exact_math.Row, list[int], exact_math.Row]:
    score = on_tape(numbers(inputs["score"][sample]))
    uniform = inputs["uniform"]
    noise = None if uniform is None else [exact_math.gumbel_noise(u) for u in numbers(uniform[sample])]
    kept = exact_math.keep_indices(score, inputs["keep"])
    soft = exact_math.soft_mask(score, noise, numbers(inputs["tau"]))
    return score, kept, exact_math.straight_through(exact_math.hard_mask(kept, len(score)), soft)


def _of_decision(inputs: Inputs, sample: int) -> Outputs:
    score, _, decision = _decision(inputs, sample)
    gradients(exact_math.dot(decision, numbers(inputs["decision_cotangent"][sample])))
    return {"score_from_decision": [s.grad for s in score]}


def _of_pipeline(inputs: Inputs, sample: int) -> Outputs:
    score, kept, decision = _decision(inputs, sample)
    tokens = on_tape(numbers(inputs["tokens"][sample]))
    v_s = [tokens[n] for n in kept]
    logits = exact_math.aggregation_logits(v_s, numbers(inputs["parameters"]))
    gain = None if inputs["gain"] is None else mpf(inputs["gain"])
    pooled = exact_math.aggregate(exact_math.weights(logits, [decision[n] for n in kept], gain), v_s)
    gradients(total(exact_math.dot(p, g) for p, g in zip(pooled, numbers(inputs["cotangent"][sample]), strict=True)))
    return {
        "keep_indices": kept,
        "score": [s.grad for s in score],
        "tokens": [[x.grad for x in row] for row in tokens],
        "aggregation_logits": [[x.grad for x in row] for row in logits],
    }


def _oracle(inputs: Inputs) -> Outputs:
    noise = given_noise(inputs["uniform"], inputs["score"])
    keep, tau = inputs["keep"], inputs["tau"]
    if "decision_cotangent" in inputs:
        # D has the slope of soft_mask, whose closed form is p * (g - sum(p * g)) / tau.
        soft, g = oracle.soft_mask(inputs["score"], noise, tau), inputs["decision_cotangent"]
        return {"score_from_decision": soft * (g - (soft * g).sum(axis=-1, keepdims=True)) / tau}
    parameters = oracle.SlotParameters(**inputs["parameters"])
    result = oracle.pipeline(
        inputs["tokens"], inputs["score"], noise, keep=keep, tau=tau, aggregation_logits=parameters
    )
    gain = 1.0 if inputs["gain"] is None else inputs["gain"]
    found = oracle.pipeline_gradients(result, inputs["cotangent"], tau=tau, gain=gain, parameters=parameters)
    return {
        "keep_indices": result.keep_indices,
        "score": found.score,
        "tokens": found.tokens,
        "aggregation_logits": found.aggregation_logits,
    }


def _tolerance(inputs: Inputs, values: dict[str, Array]) -> Mapping[str, Tolerance]:
    softened = softmax_error(inputs["score"], noise_bound(inputs["uniform"]), inputs["tau"])
    if "decision_cotangent" in inputs:
        floor = largest(inputs["decision_cotangent"]) / inputs["tau"] / 4
        return {"score_from_decision": Tolerance(floor, ulps(softened))}
    error = 4 * pooled_error(values["aggregation_logits"])
    # Where every entry is zero (K = 1, N = 1, one token repeated) what is left is the rounding of the sums.
    scale = largest(inputs["tokens"]) * largest(inputs["cotangent"])
    steep = scale * (inputs["gain"] or 1.0) / inputs["tau"]
    floors = {"score": steep, "tokens": scale, "aggregation_logits": scale}
    units = {"score": error + softened, "tokens": error, "aggregation_logits": error}
    return {name: Tolerance(floors[name], ulps(units[name], bfloat16=0)) for name in floors}


TITLE = (
    "The gradient of <cotangent, aggregated_tokens> to score, tokens (through the pooling and through the MLP) and "
    "aggregation_logits, and of <decision_cotangent, decision> to score. `gain` is the mask's slope at D = 1: null for "
    "logits + log D, whose slope is 1; the gradient to the score is proportional to it, and a check accepts any gain."
)
STAGE = Stage("gradients", TITLE, _sketches, _exact, _oracle, _tolerance)
