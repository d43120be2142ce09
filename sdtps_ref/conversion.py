"""Weights of the published classes, under the names that the reference has for them."""

from collections.abc import Mapping

from torch import Tensor

from sdtps_ref.errors import InvalidInput

KINDS = ("weight", "bias")
# A key of a published class, and what it is called here.
AGGREGATION = {f"weight.{layer}.{kind}": f"logits.{layer}.{kind}" for layer in (0, 1, 3) for kind in KINDS}
AGGREGATION["scale"] = "scale"
PREDICTOR = {f"score_predictor.{layer}.{kind}": f"layers.{layer}.{kind}" for layer in (0, 2) for kind in KINDS}
PARTS = (AGGREGATION, PREDICTOR)


def published_weights(state: Mapping[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    """What `TokenAggregation` or `ScorePredictor` loads, from the `state_dict` of a published class.

    Args:
        state: a `state_dict`, of the class or of a whole model that holds it.
        prefix: where the class lies in the model, as `"rgb_aggr."`; a published `TokenSparse` holds the predictor.

    Returns:
        The weights for `load_state_dict`: of the aggregation its normalisation, both layers and the scale, which is
        1 1 1 in the published class and 1 here; of the predictor both layers.

    Raises:
        InvalidInput: nothing under the prefix is one of the two. The message names the prefixes that are.

    Source: SEPS (arXiv 2511.01390), equations 1 and 4; LAPS (CVPR 2024).
    """
    for part in PARTS:
        if all(prefix + theirs in state for theirs in part):
            return {ours: _as_here(ours, state[prefix + theirs]) for theirs, ours in part.items()}
    ends = [next(iter(part)) for part in PARTS]
    known = sorted({key.removesuffix(end) for key in state for end in ends if key.endswith(end)})
    raise InvalidInput.given(
        f"prefix={prefix!r}",
        ", ".join(map(repr, known))
        or "the state_dict of a published TokenAggregation or TokenSparse, which this is not",
    )


def _as_here(name: str, weight: Tensor) -> Tensor:
    return weight.reshape(1) if name == "scale" else weight
