"""What a selector gives, in the vectors' order; where it may choose, what its own choice should give."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sdtps_ref.golden import oracle
from sdtps_ref.golden.factories import Found, Inputs, built, tensor
from sdtps_ref.golden.floats import to_hex


def select(implementation: Any, inputs: Inputs, dtype: torch.dtype, flags: list[str], *, training: bool) -> Found:
    """What a selector gives, put into the vectors' order; among tied scores, what its own choice should give."""
    result = selector_result(implementation, inputs, dtype, training=training)
    score, keep = inputs["score"], inputs["keep"]
    decision = result.decision
    found = Found({"decision": decision})
    given = getattr(result, "keep_indices", None)
    ones = decision.detach().double().numpy() == 1
    if given is not None:
        kept = given.detach().numpy().astype(np.int64)
    elif (ones.sum(axis=-1) == keep).all():
        kept = np.nonzero(ones)[1].reshape(len(score), keep)
    else:
        return found  # no choice to be seen, which the decision will show
    if kept.shape != (len(score), keep) or kept.min() < 0 or kept.max() >= score.shape[1]:
        found.outputs["keep_indices"] = torch.from_numpy(kept)
        return found
    order = np.stack([np.lexsort((row, -s[row])) for row, s in zip(kept, score, strict=True)])
    kept = np.take_along_axis(kept, order, axis=1)
    right = oracle.keep_indices(score, keep)
    as_good = np.array_equal(np.take_along_axis(score, kept, 1), np.take_along_axis(score, right, 1))
    if "Ties" in flags and as_good and all(len(set(row)) == keep for row in kept):
        right = kept
    if given is not None:
        found.outputs["keep_indices"] = torch.from_numpy(kept)
        found.instead["keep_indices"] = {"shape": list(right.shape), "integers": right.ravel().tolist()}
    found.instead["decision"] = _exactly(oracle.hard_mask(right, score.shape[1]))
    if "tokens" in inputs:
        found.instead["selected_tokens"] = _exactly(oracle.selected_tokens(inputs["tokens"], right))
    at = torch.from_numpy(order)
    chosen, selected = result.selected_tokens, getattr(result, "selected_decision", None)
    if given is None:  # its order is not told: compare both as sets
        chosen = _sorted_rows(chosen)
        if "tokens" in inputs:
            expected = _sorted_rows(torch.from_numpy(oracle.selected_tokens(inputs["tokens"], right)))
            found.instead["selected_tokens"] = _exactly(expected.numpy())
    elif chosen.shape[:2] == at.shape:
        chosen = torch.take_along_dim(chosen, at.unsqueeze(-1), dim=1)
    found.outputs["selected_tokens"] = chosen
    if selected is not None:
        found.outputs["selected_decision"] = selected
    return found


def selector_result(
    implementation: Any, inputs: Inputs, dtype: torch.dtype, *, training: bool, score: Tensor | None = None
) -> Any:
    """One call of the selector; stages that have no tokens are given zeros."""
    B, N = inputs["score"].shape
    tokens = inputs.get("tokens", np.zeros((B, N, 4)))
    sizes = {"dim": tokens.shape[2], "num_tokens": N, "keep": inputs["keep"], "tau": inputs["tau"]}
    selector = built(implementation, "selector", dtype, training=training, **sizes)
    return selector(tensor(tokens, dtype), tensor(inputs["score"], dtype) if score is None else score)


def _exactly(array: Any) -> dict[str, Any]:
    return {"shape": list(array.shape), "exact": [to_hex(x) for x in array.ravel()]}


def _sorted_rows(tokens: Tensor) -> Tensor:
    plain = tokens.detach().double()
    return torch.stack([torch.from_numpy(rows[np.lexsort(rows.T)]) for rows in plain.numpy()])
