"""What may be wrong where several modalities are put together."""

from __future__ import annotations

from sdtps_ref.properties.engine.causes.hypotheses.speaking import selector_trains
from sdtps_ref.properties.engine.causes.hypothesis import MISLED, OTHER_RESULTS, UNTRAINED, Hypothesis, Readings


def _own(r: Readings, every: bool) -> bool:
    own, crossed = r["modalities.own_decision"], r["modalities.other_decision"]
    if not own or any(crossed) or all(own) or not selector_trains(r) or r["wiring.gradient"] == "none":
        return False
    return not any(own) if every else any(own)


HYPOTHESES = (
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
        "modalities.crossed_score",
        "a modality's tokens are selected by the score of another",
        lambda r: "crossed score" in (r["lines.multimodal"] or {}),
        ("multimodal.decision_*", "independence.tokens_of_other_modalities"),
        ("multimodal.*", "symmetry.batch_independent"),
        MISLED,
        4,
        effect="what is kept of one modality is what another one finds important",
        fix="selects[name](tokens[name], scores[name]); a lambda in a loop binds name=name and score=score",
        training="gradients go to other tokens",
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
        "branches.crossed_decision",
        "a branch is pooled with the D of the other",
        lambda r: "crossed" in (r["lines.branches"] or {}),
        ("branches.decision_acts_in_its_own_branch",),
        ("branches.*",),
        MISLED,
        3,
        effect="each text's tokens answer for the other one's scores",
        fix="aggregate_sparse(V_sparse, D_sparse) + aggregate_dense(V_dense, D_dense)",
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
)
