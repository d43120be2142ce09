"""What may be wrong with the whole model: a score that is not trained, or made steep, or shared."""

from __future__ import annotations

from typing import Any

from sdtps_ref.properties.engine.causes.hypotheses.speaking import HAND_ON
from sdtps_ref.properties.engine.causes.hypothesis import MISLED, OTHER_RESULTS, STEEP, UNTRAINED, Hypothesis, Readings


def _divided(r: Readings) -> Any:
    return r["model.divides_by"] and {"by": r["model.divides_by"], "place": r["model.divides_at"]}


def _model_lost(r: Readings) -> bool:
    """The pipeline trains a score; the model's parameters and inputs behind its own score get nothing."""
    return r["wiring.gradient"] == "some" and len(r["model.untrained"] or []) > 1 and bool(r["model.untrained_inputs"])


def _unused(r: Readings) -> Any:
    untrained = [name for name in r["model.untrained"] or [] if not name.startswith("inputs")]
    if not untrained or r["model.untrained_inputs"]:
        return None
    how = ": it is multiplied by zero" if r["model.multiplies_by_zero"] else ""
    return {"which": untrained[0], "how": how}


def _over_batch(r: Readings) -> bool:
    if r.fails("models.samples_do_not_meet") and "over batch" in (r["lines.model"] or {}):
        return True
    if r.has_part("mean over batch"):
        return False
    return (
        False in (r["modalities.of_own_sample"], r["model.of_own_sample"])
        and r["soft_mask.samples"] == "independent"
        and r["weights.of_own_sample"] is not False
        and r["ranking.by"] in ("score", None)
        and r["wiring.of_own_sample"] is not False
    )


def _hidden(r: Readings) -> Any:
    count = (not r["model.untrained"] and r["model.hidden"]) or r["parameters.hidden"]
    return count and {"count": count}


HYPOTHESES = (
    Hypothesis(
        "score.statistics_over_batch",
        "the score is scaled by a statistic of the whole batch where it is made",
        _over_batch,
        ("symmetry.batch_independent", "distributed.*", "training.*", "models.samples_do_not_meet"),
        ("multimodal.*",),
        MISLED,
        3,
        effect="what is kept of a sample depends on the samples that it is batched with",
        fix="take minimum, maximum and deviation of the score over dim=-1",
        training="samples choose together",
    ),
    Hypothesis(
        "score.divided_by_nothing",
        "where the model makes its score it divides by {by}, which is next to nothing on a plain background",
        lambda r: r.fails("training.gradient_stays_finite") and _divided(r),
        ("training.gradient_stays_finite",),
        ("training.*", "gradient.is_finite*"),
        STEEP,
        effect="one row whose tokens are alike outweighs all others of the batch, or makes everything NaN",
        fix="(x - min) / (max - min).clamp(min=1e-3); an epsilon of 1e-3 under the root or in cosine_similarity",
        training="steep score",
    ),
    Hypothesis(
        "score.divided_by_little",
        "where the model makes its score it divides by {by}, which is next to nothing on a plain background",
        lambda r: not r.fails("training.gradient_stays_finite") and _divided(r),
        ("training.gradient_stays_bounded",),
        effect="a row whose tokens are almost alike outweighs all others of the batch",
        fix="(x - min) / (max - min).clamp(min=1e-3)",
    ),
    Hypothesis(
        "score.under_no_grad",
        "the model makes its score under no_grad",
        lambda r: _model_lost(r) and r["model.without_gradients"],
        ("training.*",),
        ("training.*", "call.*"),
        UNTRAINED,
        3,
        effect="the score network is never trained",
        fix="make the score with gradients on; topk needs none switched off",
        training="the score is never trained",
    ),
    Hypothesis(
        "model.without_decision",
        "the model pools without D, or with a detached one",
        lambda r: _model_lost(r) and not r["model.without_gradients"],
        ("training.*",),
        ("training.*",),
        UNTRAINED,
        2,
        effect="the score network is never trained, while the loss falls because the rest learns",
        fix=HAND_ON,
        training="the score is never trained",
    ),
    Hypothesis(
        "score.prediction_unused",
        "the score network's prediction is not part of the score{how} (parameter {which} gets no gradient)",
        _unused,
        ("training.everything_is_trained",),
        ("training.*",),
        UNTRAINED,
        3,
        effect="the score network stays as it was initialised",
        fix="score = (1 - 2 beta) * predicted + beta * (relevances), with beta below 0.5",
        training="the score network is never trained",
    ),
    Hypothesis(
        "model.unregistered",
        "{count} parameters take part that parameters() does not list: layers in a plain list or a closure",
        _hidden,
        ("training.everything_is_trained", "branches.*", "multimodal.*", "shape.*", "gradient.is_the_derivative"),
        ("training.*", "runtime.*"),
        UNTRAINED,
        2,
        effect="no optimiser is told of them",
        fix="nn.ModuleList, or attributes",
        training="parameters no optimiser knows",
    ),
    Hypothesis(
        "model.input_ignored",
        "an input of the model is taken and never looked at: {which}",
        lambda r: (r["model.unused"] or []) and {"which": r["model.unused"][0]},
        ("training.everything_is_trained",),
        ("training.*",),
        OTHER_RESULTS,
        3,
        effect="what it should guide goes without it",
        fix="score the tokens against it",
    ),
)
