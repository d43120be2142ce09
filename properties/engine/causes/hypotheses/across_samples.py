"""What may be wrong with whose score D's gradient goes to: samples that compete or share."""

from __future__ import annotations

from typing import Any

from sdtps_ref.properties.engine.causes.hypotheses.speaking import SOFT_MASK
from sdtps_ref.properties.engine.causes.hypothesis import DOWNSTREAM, MISLED, Hypothesis, Readings


def _over_batch(r: Readings) -> Any:
    samples = r["soft_mask.samples"]
    if samples == "compete by place":
        return {"axis": "the batch (dim=0)"}
    if samples == "mixed" and not r["soft_mask.scale_free"]:
        return {"axis": "all tokens of all samples"}
    return None


HYPOTHESES = (
    Hypothesis(
        "soft_mask.over_batch",
        "the softmax of the soft mask runs over {axis}, so that samples compete with each other",
        _over_batch,
        (*SOFT_MASK, "symmetry.batch_independent"),
        DOWNSTREAM,
        MISLED,
        3,
        effect="a sample's loss moves the scores of the others",
        fix="soft_mask = softmax((score + gumbel_noise) / tau, dim=-1)",
        training="gradients cross samples",
    ),
    Hypothesis(
        "gradient.shared_by_batch",
        "every sample receives the same gradient: the soft mask is averaged over the batch",
        lambda r: r["soft_mask.samples"] == "all alike",
        (*SOFT_MASK, "symmetry.batch_independent"),
        DOWNSTREAM,
        MISLED,
        3,
        effect="no sample's score is trained by its own loss alone",
        fix="leave the batch axis of the soft mask as it is",
        training="gradients cross samples",
    ),
    Hypothesis(
        "score.over_batch",
        "the selection scales the score by a statistic of the whole batch",
        lambda r: r["soft_mask.samples"] == "mixed" and r["soft_mask.scale_free"],
        (*SOFT_MASK, "symmetry.batch_independent"),
        DOWNSTREAM,
        MISLED,
        3,
        effect="a sample's soft mask depends on the samples that it is batched with",
        fix="take statistics of the score over dim=-1 only",
        training="gradients cross samples",
    ),
)
