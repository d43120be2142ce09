"""The whole pipeline, from tokens, score and uniforms to the aggregated tokens."""

from collections.abc import Iterator, Mapping

from sdtps_ref.golden import exact_math, oracle
from sdtps_ref.golden.autodiff import numbers
from sdtps_ref.golden.draw import Recipe
from sdtps_ref.golden.scenarios import situations
from sdtps_ref.golden.stage import (
    Array,
    CaseSpec,
    Inputs,
    Outputs,
    Stage,
    given_noise,
    noise_bound,
    slot_parameters,
    softmax_error,
    ulps,
)
from sdtps_ref.golden.stages.aggregation import pooling_tolerance
from sdtps_ref.golden.stages.soft_mask import TINY
from sdtps_ref.golden.vectors import Tolerance

PUBLISHED = {"B": 4, "N": 128, "K": 64, "C": 512, "M": 25, "H": 102}


def _sketches() -> Iterator[CaseSpec]:
    for s in situations(7):
        slots = max(1, s.keep - 1)
        yield CaseSpec(
            s.comment,
            s.flags,
            {
                "tokens": s.tokens,
                "score": s.score,
                "uniform": s.uniform,
                "keep": s.keep,
                "tau": s.tau,
                "slots": slots,
                "parameters": slot_parameters(s.draw, s.tokens.shape[2], slots),
            },
        )
    yield _published()


def _published() -> CaseSpec:
    B, N, K, C, M, H = PUBLISHED.values()

    def recipe(seed: int, *shape: int, low: int = -96, high: int = 96, step: float = 1 / 32) -> Recipe:
        return Recipe(7900 + seed, shape, low, high, step)

    parameters = {
        "norm_weight": recipe(3, C, low=16, high=48),
        "norm_bias": recipe(4, C, low=-32, high=32),
        "hidden_weight": recipe(5, H, C, step=1 / 1024),
        "hidden_bias": recipe(6, H, low=-32, high=32),
        "slots_weight": recipe(7, M, H, step=1 / 512),
        "slots_bias": recipe(8, M, low=-32, high=32),
        "scale": 1.0,
        "norm_eps": 1e-5,
    }
    inputs = {
        "tokens": recipe(0, B, N, C),
        "score": recipe(1, B, N, low=-(2**20), high=2**20, step=2.0**-18),  # fine enough to have no ties
        "uniform": recipe(2, B, N, low=1, high=2**20 - 1, step=2.0**-20),
        "keep": K,
        "tau": 1.0,
        "slots": M,
        "parameters": parameters,
    }
    return CaseSpec("the published size", ("Published",), inputs)


def _exact(inputs: Inputs) -> Outputs:
    tau, parameters = numbers(inputs["tau"]), numbers(inputs["parameters"])
    outputs: dict[str, list] = {}
    uniform = inputs["uniform"]
    for sample in range(len(inputs["score"])):
        tokens, score = numbers(inputs["tokens"][sample]), numbers(inputs["score"][sample])
        kept = exact_math.keep_indices(score, inputs["keep"])
        decision = exact_math.hard_mask(kept, len(score))
        v_s = [tokens[n] for n in kept]
        logits = exact_math.aggregation_logits(v_s, parameters)
        weights = exact_math.weights(logits, [decision[n] for n in kept])
        stages = {
            "keep_indices": kept,
            "decision": decision,
            "aggregation_logits": logits,
            "weights": weights,
            "aggregated_tokens": exact_math.aggregate(weights, v_s),
        }
        if _has_soft_mask(uniform):
            noise = None if uniform is None else [exact_math.gumbel_noise(u) for u in numbers(uniform[sample])]
            stages["soft_mask"] = exact_math.soft_mask(score, noise, tau)
        for name, value in stages.items():
            outputs.setdefault(name, []).append(value)
    return outputs


def _has_soft_mask(uniform: Array | None) -> bool:
    # With infinite noise it depends on how that was made finite.
    return uniform is None or bool(((uniform > 0) & (uniform < 1)).all())


def _oracle(inputs: Inputs) -> Outputs:
    result = oracle.pipeline(
        inputs["tokens"],
        inputs["score"],
        given_noise(inputs["uniform"], inputs["score"]),
        keep=inputs["keep"],
        tau=inputs["tau"],
        aggregation_logits=oracle.SlotParameters(**inputs["parameters"]),
    )
    names = ["keep_indices", "decision", "aggregation_logits", "weights", "aggregated_tokens"]
    return {name: getattr(result, name) for name in [*names, *["soft_mask"] * _has_soft_mask(inputs["uniform"])]}


def _tolerance(inputs: Inputs, values: dict[str, Array]) -> Mapping[str, Tolerance]:
    pooled = pooling_tolerance(inputs["tokens"], values)
    if "soft_mask" not in values:
        return pooled
    error = softmax_error(inputs["score"], noise_bound(inputs["uniform"]), inputs["tau"])
    return pooled | {"soft_mask": Tolerance(TINY, ulps(error))}


TITLE = (
    "Score, Gumbel noise from the uniforms, soft mask, top-K of the noiseless score, decision, gather, aggregation. "
    "The forward result does not depend on the noise, so that a pipeline that has load_weights can be held to "
    "it in train "
    "and in eval mode."
)
STAGE = Stage("pipeline", TITLE, _sketches, _exact, _oracle, _tolerance)
