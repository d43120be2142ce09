"""How each stage's outputs are had from an implementation. A door that it lacks is NotAvailable, with the reason."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sdtps_ref.golden import oracle
from sdtps_ref.golden.factories import Found, Inputs, NotAvailable, has, loaded, method_of, sizes_of, tensor, tensors
from sdtps_ref.golden.selection_order import select, selector_result
from sdtps_ref.properties.kit import values

TIES = "ties at the boundary: another choice is as right"
NO_NOISE_DOOR = "noise cannot be given (no gumbel_noise and decision)"
HARD = "D is hard in eval mode, where no gradient is owed"
NOISY = "noise is drawn in eval mode too, and the vectors have none"


def _noise(implementation: Any, inputs: Inputs, dtype: torch.dtype, flags: list[str]) -> Found:
    door = method_of(implementation, "gumbel_noise")
    return Found({"gumbel_noise": door(tensor(inputs["uniform"], dtype))})


def _soft_mask(implementation: Any, inputs: Inputs, dtype: torch.dtype, flags: list[str]) -> Found:
    door = method_of(implementation, "soft_mask")
    given = inputs["gumbel_noise"]
    noise = None if given is None else tensor(given, dtype)
    return Found({"soft_mask": door(tensor(inputs["score"], dtype), noise, inputs["tau"])})


def _decision(implementation: Any, inputs: Inputs, dtype: torch.dtype, flags: list[str]) -> Found:
    score, uniform = inputs["score"], inputs["uniform"]
    found = select(implementation, inputs, dtype, flags, training=uniform is not None)
    if uniform is not None and has(implementation, "gumbel_noise") and has(implementation, "decision"):
        noise = implementation.gumbel_noise(tensor(uniform, dtype))
        again = implementation.decision(tensor(score, dtype), noise, keep=inputs["keep"], tau=inputs["tau"])
        if not torch.equal(again, found.outputs["decision"]):
            found.outputs["decision"] = again  # for given noise it is another one: show that
    return Found({name: found.outputs[name] for name in found.outputs if name != "selected_tokens"}, found.instead)


def _selection(implementation: Any, inputs: Inputs, dtype: torch.dtype, flags: list[str]) -> Found:
    return select(implementation, inputs, dtype, flags, training=False)


def _extra_token(implementation: Any, inputs: Inputs, dtype: torch.dtype, flags: list[str]) -> Found:
    if "Ties" in flags:
        raise NotAvailable(TIES)
    extra = getattr(selector_result(implementation, inputs, dtype, training=False), "extra_token", None)
    if extra is None:
        raise NotAvailable("the selector gives no extra_token")
    return Found({"extra_token": extra})


def _aggregation(implementation: Any, inputs: Inputs, dtype: torch.dtype, flags: list[str]) -> Found:
    tokens, parameters = inputs["tokens"], inputs["parameters"]
    slots = len(parameters["slots_bias"])
    aggregator = loaded(implementation, "aggregator", dtype, parameters, dim=tokens.shape[2], slots=slots)
    decision = None if inputs["decision"] is None else tensor(inputs["decision"], dtype)
    return Found({"aggregated_tokens": aggregator(tensor(tokens, dtype), decision)})


def _pipeline(implementation: Any, inputs: Inputs, dtype: torch.dtype, flags: list[str]) -> Found:
    if "Ties" in flags:
        raise NotAvailable(TIES)
    pipeline = _loaded_pipeline(implementation, inputs, dtype)
    pooled = pipeline(tensor(inputs["tokens"], dtype), tensor(inputs["score"], dtype))
    return Found({"aggregated_tokens": pooled})


def _two_branches(implementation: Any, inputs: Inputs, dtype: torch.dtype, flags: list[str]) -> Found:
    if "Ties" in flags:
        raise NotAvailable(TIES)
    weights = [inputs["sparse_parameters"], inputs["dense_parameters"]]
    scores = [tensor(inputs[name], dtype) for name in ("sparse_score", "dense_score")]
    branches = loaded(implementation, "two_branches", dtype, *weights, **sizes_of(inputs, inputs["tokens"]))
    return Found({"aggregated_tokens": branches(tensor(inputs["tokens"], dtype), *scores)})


def _scoring(implementation: Any, inputs: Inputs, dtype: torch.dtype, flags: list[str]) -> Found:
    dim = inputs["tokens"].shape[2]
    scorer = loaded(implementation, "scorer", dtype, inputs["parameters"], dim=dim, beta=inputs["beta"])
    return Found({"score": scorer(*(tensor(inputs[name], dtype) for name in ("tokens", "sparse", "dense")))})


def _multimodal(implementation: Any, inputs: Inputs, dtype: torch.dtype, flags: list[str]) -> Found:
    names = tuple(inputs["tokens"])
    weights = [inputs["parameters"], inputs["score_parameters"]]
    sizes = sizes_of(inputs, inputs["tokens"][names[0]])
    sdtps = loaded(implementation, "multimodal", dtype, *weights, modalities=names, **sizes)
    tokens, features = tensors(inputs["tokens"], dtype), tensors(inputs["global_features"], dtype)
    pooled = sdtps(tokens, features)
    return Found({f"{name}_tokens": pooled[name] for name in names})


def _gradients(implementation: Any, inputs: Inputs, dtype: torch.dtype, flags: list[str]) -> Found:
    score = tensor(inputs["score"], dtype).requires_grad_()
    if "decision_cotangent" not in inputs:
        return _pipeline_gradients(implementation, inputs, dtype, flags, score)
    uniform, cotangent = inputs["uniform"], tensor(inputs["decision_cotangent"], dtype)
    if uniform is None:

        def decided() -> Tensor:
            return selector_result(implementation, inputs, dtype, training=False, score=score).decision

        return Found({"score_from_decision": _in_eval(decided, score, cotangent)})
    if not (has(implementation, "gumbel_noise") and has(implementation, "decision")):
        raise NotAvailable(NO_NOISE_DOOR)
    noise = implementation.gumbel_noise(tensor(uniform, dtype))
    decision = implementation.decision(score, noise, keep=inputs["keep"], tau=inputs["tau"])
    return Found({"score_from_decision": values.gradient(decision, score, cotangent)})


def _in_eval(output: Callable[[], Tensor], score: Tensor, cotangent: Tensor) -> Tensor:
    """The score's gradient in eval mode, B N. NotAvailable where there is none, or noise in it: neither is wrong."""
    found = output()
    if not found.requires_grad or torch.autograd.grad(found, score, cotangent, True, allow_unused=True)[0] is None:
        raise NotAvailable(HARD)
    gradient = values.gradient(found, score, cotangent)
    torch.manual_seed(1)
    if not torch.equal(gradient, values.gradient(output(), score, cotangent)):
        raise NotAvailable(NOISY)
    return gradient


def _pipeline_gradients(
    implementation: Any, inputs: Inputs, dtype: torch.dtype, flags: list[str], score: Tensor
) -> Found:
    if "Ties" in flags:
        raise NotAvailable(TIES)
    tokens = tensor(inputs["tokens"], dtype).requires_grad_()
    pipeline = _loaded_pipeline(implementation, inputs, dtype)
    cotangent = tensor(inputs["cotangent"], dtype)
    found = Found({"tokens": values.gradient(pipeline(tokens, score), tokens, cotangent)})
    if inputs["uniform"] is not None:
        found.left_out.append("the score's gradient through a pipeline that draws its own noise")
        return found
    try:
        actual = _in_eval(lambda: pipeline(tokens, score), score, cotangent)
    except NotAvailable as reason:
        found.left_out.append(str(reason))
        return found
    # The mask's slope at D = 1 is the implementation's own: compare after it has been taken out.
    noise = np.zeros_like(inputs["score"])
    parameters = oracle.SlotParameters(**inputs["parameters"])
    keep, tau = inputs["keep"], inputs["tau"]
    result = oracle.pipeline(
        inputs["tokens"], inputs["score"], noise, keep=keep, tau=tau, aggregation_logits=parameters
    )
    along = oracle.pipeline_gradients(result, inputs["cotangent"], tau=tau, parameters=parameters).score
    gain = float((actual.double().numpy() * along).sum() / (along**2).sum()) if np.abs(along).max() > 1e-9 else 1e10
    found.outputs["score"] = actual / gain if gain > 0 else actual
    return found


def _loaded_pipeline(implementation: Any, inputs: Inputs, dtype: torch.dtype) -> Callable[..., Tensor]:
    training = inputs["uniform"] is not None
    sizes = sizes_of(inputs, inputs["tokens"])
    return loaded(implementation, "pipeline", dtype, inputs["parameters"], training=training, **sizes)


DOORS: dict[str, Callable[[Any, Inputs, torch.dtype, list[str]], Found]] = {
    "noise": _noise,
    "soft_mask": _soft_mask,
    "decision": _decision,
    "selection": _selection,
    "extra_token": _extra_token,
    "aggregation": _aggregation,
    "pipeline": _pipeline,
    "two_branches": _two_branches,
    "scoring": _scoring,
    "multimodal": _multimodal,
    "gradients": _gradients,
}
