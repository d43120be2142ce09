"""Equation 4: the sparse and the dense text branch, each with its own decision and aggregation, added."""

from collections.abc import Iterator, Mapping

from sdtps_ref.golden.scenarios import finite, situations
from sdtps_ref.golden.stage import Array, CaseSpec, Inputs, Outputs, Stage, largest, pooled_error, slot_parameters, ulps
from sdtps_ref.golden.stages import pipeline
from sdtps_ref.golden.vectors import Tolerance

BRANCHES = ("sparse", "dense")


def _sketches() -> Iterator[CaseSpec]:
    for s in filter(finite, situations(8, channels=5)):
        slots = max(1, s.keep - 1)
        inputs: Inputs = {"tokens": s.tokens, "sparse_score": s.score}
        inputs["dense_score"] = s.draw.rows(*s.score.shape)
        inputs |= {"sparse_uniform": s.uniform}
        inputs["dense_uniform"] = None if s.uniform is None else s.draw.uniforms(*s.score.shape)
        inputs |= {"keep": s.keep, "tau": s.tau, "slots": slots}
        for branch in BRANCHES:
            inputs[f"{branch}_parameters"] = slot_parameters(s.draw, s.tokens.shape[2], slots)
        yield CaseSpec(s.comment + "; the other branch's scores are ordinary", (*s.flags, "Unequal"), inputs)


def _branch(inputs: Inputs, branch: str) -> Inputs:
    shared = {name: inputs[name] for name in ("tokens", "keep", "tau", "slots")}
    return shared | {name: inputs[f"{branch}_{name}"] for name in ("score", "uniform", "parameters")}


def _exact(inputs: Inputs) -> Outputs:
    sparse, dense = (pipeline.STAGE.exact(_branch(inputs, branch)) for branch in BRANCHES)
    both = [
        [[x + y for x, y in zip(*slots, strict=True)] for slots in zip(*samples, strict=True)]
        for samples in zip(sparse["aggregated_tokens"], dense["aggregated_tokens"], strict=True)
    ]
    return _outputs(sparse, dense) | {"aggregated_tokens": both}


def _oracle(inputs: Inputs) -> Outputs:
    sparse, dense = (pipeline.STAGE.oracle(_branch(inputs, branch)) for branch in BRANCHES)
    return _outputs(sparse, dense) | {"aggregated_tokens": sparse["aggregated_tokens"] + dense["aggregated_tokens"]}


def _outputs(sparse: Outputs, dense: Outputs) -> Outputs:
    named = {"sparse": sparse, "dense": dense}
    names = ("keep_indices", "decision", "aggregation_logits")
    return {f"{branch}_{name}": named[branch][name] for branch in BRANCHES for name in names}


def _tolerance(inputs: Inputs, values: dict[str, Array]) -> Mapping[str, Tolerance]:
    found = {}
    for branch in BRANCHES:
        logits = values[f"{branch}_aggregation_logits"]
        found[f"{branch}_aggregation_logits"] = Tolerance(max(1.0, largest(logits)), ulps(8))
    error = max(pooled_error(values[f"{branch}_aggregation_logits"]) for branch in BRANCHES)
    return found | {"aggregated_tokens": Tolerance(largest(inputs["tokens"]), ulps(2 * error, bfloat16=error))}


TITLE = (
    "aggregated_tokens = W_s @ V_s + W_d @ V_d: for each text branch its own score, uniforms, decision, selection and "
    "aggregation. Needs `two_branches` with load_weights."
)
STAGE = Stage("two_branches", TITLE, _sketches, _exact, _oracle, _tolerance)
