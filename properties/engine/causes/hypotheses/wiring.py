"""What may be wrong with the wiring: of the pipeline, of the modalities, and of the whole model."""

from __future__ import annotations

from typing import Any

from sdtps_ref.properties.engine.causes.hypothesis import MISLED, OTHER_RESULTS, STEEP, UNTRAINED, Hypothesis, Readings

WIRE = ("gradient.*", "symmetry.*")
WAKE = ("gradient.*", "multimodal.*", "training.*", "symmetry.*", "runtime.*", "branches.*", "aggregation.*")
HAND_ON = "aggregate(selection.selected_tokens, selection.selected_decision)"


def _selector_trains(r: Readings) -> bool:
    """The selector's own D carries its gradient, and the aggregation takes it: what is lost is lost in between."""
    return r["soft_mask.form"] not in ("none", None) and r["mask.form"] != "none"


def _lost(r: Readings) -> bool:
    return r["wiring.gradient"] == "none" and _selector_trains(r)


def _part(r: Readings) -> Any:
    gain, alone = r["wiring.gain"], r["wiring.aggregator_gain"]
    if not isinstance(gain, float) or not isinstance(alone, float) or not alone or _not_followed(r):
        return None
    share = gain / alone
    return {"share": f"{share:.3g}"} if abs(share - 1) > 1e-2 and share > 0 and _factor_is_one(r) else None


def _factor_is_one(r: Readings) -> bool:
    factors = r["soft_mask.factor"] or []
    return bool(factors) and all(isinstance(f, float) and abs(f - 1) < 1e-3 for f in factors)


def _right_temperature(r: Readings) -> bool:
    given, found = r["temperature.given"], r["temperature.found"]
    return bool(given) and all(
        isinstance(f, float) and abs(f / g - 1) < 1e-3 for g, f in zip(given, found, strict=True)
    )


def _not_followed(r: Readings) -> bool:
    return bool(r["wiring.ignores_temperature"]) and r["wiring.gradient"] == "some" and _right_temperature(r)


def _own(r: Readings, every: bool) -> bool:
    own, crossed = r["modalities.own_decision"], r["modalities.other_decision"]
    if not own or any(crossed) or all(own) or not _selector_trains(r) or r["wiring.gradient"] == "none":
        return False
    return not any(own) if every else any(own)


def _model_lost(r: Readings) -> bool:
    """The pipeline trains a score; the model's parameters and inputs behind its own score get nothing."""
    return r["wiring.gradient"] == "some" and len(r["model.untrained"] or []) > 1 and bool(r["model.untrained_inputs"])


def _unused(r: Readings) -> Any:
    untrained = [name for name in r["model.untrained"] or [] if not name.startswith("inputs")]
    if not untrained or r["model.untrained_inputs"]:
        return None
    how = ": it is multiplied by zero" if r["model.multiplies_by_zero"] else ""
    return {"which": untrained[0], "how": how}


HYPOTHESES = (
    Hypothesis(
        "decision.not_handed_on",
        "the pipeline aggregates without D",
        lambda r: _lost(r) and r["wiring.score_flows"] is False,
        WIRE,
        WAKE,
        UNTRAINED,
        3,
        effect="the score is never trained, while the loss falls because the rest of the model learns",
        fix=HAND_ON,
        training="the score is never trained",
    ),
    Hypothesis(
        "decision.detached",
        "D is handed to the aggregation without its gradient",
        lambda r: _lost(r) and r["wiring.score_flows"] is True,
        WIRE,
        WAKE,
        UNTRAINED,
        3,
        effect="the score is never trained, while the loss falls because the rest of the model learns",
        fix=f"{HAND_ON}, nothing of it detached",
        training="the score is never trained",
    ),
    Hypothesis(
        "decision.wired_by_place",
        "the pipeline pairs tokens in one order with D in another",
        lambda r: r["wiring.order"] in ("by place", "by score where tokens are by place"),
        ("gradient.matches_closed_form",),
        WAKE,
        MISLED,
        3,
        effect="a token answers for another one's score",
        fix=HAND_ON,
        training="gradients go to other tokens",
    ),
    Hypothesis(
        "decision.acts_elsewhere",
        "D acts elsewhere too: as a factor of the tokens or of what is pooled, not only in the mask",
        lambda r: (
            r["wiring.acts_elsewhere"] and r["mask.form"] in ("before the softmax", None) and r["wiring.sums_to_one"]
        ),
        WIRE,
        WAKE,
        MISLED,
        2,
        effect="a token's size trains its score, not what the slots gain by it",
        fix="D goes into the mask before the softmax and nowhere else",
    ),
    Hypothesis(
        "decision.for_a_part",
        "D reaches a part of what is pooled: the gain of the pipeline is {share} of its aggregator's",
        _part,
        ("gradient.gain_is_the_aggregators",),
        WAKE,
        STEEP,
        2,
        effect="the score is trained by a part of the loss",
        fix="hand the same D to every aggregation whose result is added up",
    ),
    Hypothesis(
        "temperature.not_handed_on",
        "the pipeline builds its selection without the tau that it is given",
        _not_followed,
        ("gradient.follows_temperature",),
        WAKE,
        MISLED,
        3,
        effect="a search over tau finds that it makes no difference",
        fix="hand tau on to the selection wherever the model builds one",
    ),
    Hypothesis(
        "pooled.by_place",
        "in the pipeline a kept token weighs by where it stood",
        lambda r: (
            r["wiring.follows_tokens"] is False
            and r["logits.follow_tokens"] is not False
            and r["ranking.by"] in ("score", None)
            and r["ranking.follows_tokens"] is not False
            and r["gather.of"] in ("the marked", None)
            and r["wiring.forward_repeats"]
        ),
        ("symmetry.token_permutation_equivariant",),
        WAKE,
        OTHER_RESULTS,
        3,
        effect="the same tokens elsewhere give other slots",
        fix=HAND_ON,
    ),
    Hypothesis(
        "score.elsewhere",
        "the score acts elsewhere than in the choice: a kept token weighs by how high it scores",
        lambda r: (
            r["wiring.order_of_scores_is_all"] is False
            and r["decision.values"] in ("hard", None)
            and r["wiring.forward_repeats"]
            and r["ranking.right_when_near"] is not False
            and r["ranking.set_repeats"] is not False
            and r["ranking.right_below_zero"] is not False
            and r["ranking.right_above_zero"] is not False
        ),
        ("symmetry.score_order_is_all_that_matters",),
        WAKE,
        OTHER_RESULTS,
        2,
        effect="the slots follow the score's size, which D does not train",
        fix="the score chooses, and nothing of it weighs",
    ),
    Hypothesis(
        "pipeline.log_of_zero",
        "the pipeline masks all N tokens by log D: at D = 0 the slope is infinite, and times zero NaN",
        lambda r: (
            r["wiring.gradient"] == "not finite"
            and r["soft_mask.form"] == "softmax"
            and r["mask.gradient_at_zeros"] == "not finite"
        ),
        ("gradient.is_finite*", "aggregation.gradient_equals_gather_first"),
        (*WAKE, "aggregation.*"),
        UNTRAINED,
        4,
        effect="one backward pass makes every parameter NaN",
        fix="torch.where(D > 0, torch.where(D > 0, D, 1.0).log(), -torch.inf)",
        training="NaN gradients",
    ),
    Hypothesis(
        "modalities.without_decision",
        "the aggregators of the modalities get no D, or a detached one",
        lambda r: _own(r, every=True),
        ("multimodal.decision_*",),
        ("multimodal.*",),
        UNTRAINED,
        3,
        effect="the score of what is kept is never trained; the extra token hides it",
        fix="aggregators[name](selection[name].selected_tokens, selection[name].selected_decision)",
        training="the score is never trained",
    ),
    Hypothesis(
        "modalities.one_without_decision",
        "the aggregator of one modality gets no D, or a detached one",
        lambda r: _own(r, every=False),
        ("multimodal.decision_*",),
        ("multimodal.*",),
        UNTRAINED,
        3,
        effect="the scores of that modality are never trained",
        fix="aggregators[name](selection[name].selected_tokens, selection[name].selected_decision)",
        training="a modality is never trained",
    ),
    Hypothesis(
        "modalities.crossed_decision",
        "a modality is pooled with the D of another",
        lambda r: any(r["modalities.other_decision"] or []) and not all(r["modalities.own_decision"]),
        ("multimodal.decision_*",),
        ("multimodal.*",),
        MISLED,
        3,
        effect="its tokens answer for another one's scores",
        fix="aggregators[name](selection[name].selected_tokens, selection[name].selected_decision)",
        training="gradients go to other tokens",
    ),
    Hypothesis(
        "modalities.guidance_missing",
        "a modality is scored without the others' features",
        lambda r: r["modalities.features_matter"] is False and all(r["modalities.guided_by_own"] or [False]),
        ("multimodal.guidance_*",),
        ("multimodal.*",),
        OTHER_RESULTS,
        3,
        effect="what one modality sees tells the others nothing",
        fix="score each modality against its own global feature and each of the others'",
    ),
    Hypothesis(
        "modalities.guidance_detached",
        "the others' features guide a modality and carry no gradient",
        lambda r: (
            r["modalities.features_matter"] is True
            and all(r["modalities.guided_by_own"] or [False])
            and not all(r["modalities.guided_by_all"])
        ),
        ("multimodal.guidance_*",),
        ("multimodal.*",),
        MISLED,
        3,
        effect="a global feature is never taught to guide",
        fix="the features as they are, none detached",
    ),
    Hypothesis(
        "modalities.fixed",
        "the number of modalities, or their names, are written into the code",
        lambda r: (
            any(v != "right" for k, v in (r["modalities.counts"] or {}).items() if k != "K=N")
            and "right" in (r["modalities.counts"] or {}).values()
        ),
        ("multimodal.shape_follows_inputs",),
        ("multimodal.*",),
        specific=3,
        effect="other modalities are left out, or raise",
        fix="loop over the names that were given",
    ),
    Hypothesis(
        "score.statistics_over_batch",
        "the score is scaled by a statistic of the whole batch where it is made",
        lambda r: (
            False in (r["modalities.of_own_sample"], r["model.of_own_sample"])
            and r["soft_mask.samples"] == "independent"
            and r["weights.of_own_sample"] is not False
            and r["ranking.by"] in ("score", None)
            and r["wiring.of_own_sample"] is not False
        ),
        ("symmetry.batch_independent", "distributed.*", "training.*"),
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
        lambda r: r["model.divides_by"] and {"by": r["model.divides_by"], "place": r["model.divides_at"]},
        ("training.gradient_stays_bounded",),
        ("training.*", "gradient.is_finite*"),
        STEEP,
        effect="one row whose tokens are alike outweighs all others of the batch, or makes everything NaN",
        fix="(x - min) / (max - min).clamp(min=1e-3); an epsilon of 1e-3 under the root or in cosine_similarity",
        training="steep score",
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
        "{count} parameters take part that module.parameters() does not list: layers in a plain list or a closure",
        lambda r: r["model.hidden"] and not r["model.untrained"] and {"count": r["model.hidden"]},
        ("training.everything_is_trained",),
        ("training.*", "runtime.*"),
        UNTRAINED,
        3,
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
