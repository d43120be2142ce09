"""What may be wrong with the extra token, the selector's and the modalities'."""

from __future__ import annotations

from typing import Any

from sdtps_ref.properties.engine.causes.hypothesis import MISLED, OTHER_RESULTS, UNTRAINED, Hypothesis, Readings

EXTRA = ("selection.extra_token_*", "multimodal.extra_token_*", "multimodal.shape_follows_inputs")
WAKE = ("runtime.*", "symmetry.*", "multimodal.*", "training.*")
FIX = "extra_token = softmax(score of the dropped tokens) @ dropped tokens"
OTHERS = {
    "the dropped, evenly": "of the dropped tokens, each as much as the other, whatever their scores",
    "the dropped, the lowest most": "of the dropped tokens by falling scores: the worst weighs most",
    "all": "of all tokens, the kept ones too",
    "all, evenly": "of all tokens evenly, the kept ones too",
}


def _of(r: Readings, *names: str) -> bool:
    if r["extra_token.of"] in names:
        return True
    return r["extra_token.of"] in (None, "the dropped") and set(r["modalities.extra_token"] or ["?"]) <= set(names)


def _other_mean(r: Readings) -> Any:
    of = r["extra_token.of"]
    return {"of": OTHERS[of]} if of in OTHERS else None


HYPOTHESES = (
    Hypothesis(
        "extra_token.of_the_kept",
        "the extra token is a mean of the kept tokens, which the slots have already",
        lambda r: _of(r, "the kept", "the kept, evenly"),
        EXTRA,
        WAKE,
        OTHER_RESULTS,
        3,
        effect="what is dropped is lost, and what is kept counts twice",
        fix=FIX,
    ),
    Hypothesis(
        "extra_token.not_renormalised",
        "the extra token's weights sum to less than one: the softmax runs over all N, and the kept are zeroed after it",
        lambda r: r["extra_token.of"] == "the dropped, not renormalised",
        EXTRA,
        WAKE,
        OTHER_RESULTS,
        3,
        effect="the extra token shrinks with K",
        fix="score.masked_fill(kept, -inf).softmax(-1)",
    ),
    Hypothesis(
        "extra_token.other_mean",
        "the extra token is a mean {of}",
        _other_mean,
        EXTRA,
        WAKE,
        OTHER_RESULTS,
        3,
        effect="the score has no say in it",
        fix=FIX,
    ),
    Hypothesis(
        "extra_token.zero",
        "the extra token is zero: slot M + 1 is there for the shape",
        lambda r: _of(r, "nothing"),
        EXTRA,
        WAKE,
        OTHER_RESULTS,
        3,
        effect="what is dropped is lost",
        fix=FIX,
    ),
    Hypothesis(
        "extra_token.crossed",
        "the extra token of a modality is made of another one's tokens",
        lambda r: "another's" in (r["modalities.extra_token"] or []) and r["extra_token.of"] in (None, "the dropped"),
        ("multimodal.extra_token_*",),
        ("multimodal.*",),
        MISLED,
        3,
        effect="what one modality drops is lost, and another's counted twice",
        fix="torch.cat([slots[name], selection[name].extra_token], dim=1), both of the same name",
    ),
    Hypothesis(
        "extra_token.missing_where_nothing_is_dropped",
        "no extra token is appended where nothing is dropped",
        lambda r: (r["modalities.counts"] or {}).get("K=N") == "no extra token",
        EXTRA,
        WAKE,
        OTHER_RESULTS,
        3,
        effect="the sequence is one shorter at K = N",
        fix="append it always, a zero one where K = N",
    ),
    Hypothesis(
        "extra_token.nan_of_nothing",
        "where nothing is dropped the extra token is NaN: a softmax over minus infinities",
        lambda r: r["extra_token.of_nothing"] == "not finite",
        EXTRA,
        (*WAKE, "gradient.*"),
        UNTRAINED,
        3,
        effect="one NaN ends the training",
        fix="a zero token where K = N",
        training="NaN where nothing is dropped",
    ),
    Hypothesis(
        "extra_token.tokens_detached",
        "the extra token's tokens carry no gradient",
        lambda r: r["extra_token.gradient_to_tokens"] == "none",
        ("selection.extra_token_*",),
        WAKE,
        MISLED,
        3,
        effect="the backbone learns nothing from what is dropped",
        fix="pool the tokens themselves, not tokens.detach()",
    ),
    Hypothesis(
        "extra_token.score_detached",
        "the extra token's weights carry no gradient to the score",
        lambda r: r["extra_token.gradient_to_score"] == "none",
        ("selection.extra_token_*",),
        WAKE,
        MISLED,
        3,
        effect="the scores of the dropped learn nothing from what they weigh",
        fix="softmax of the score itself, not of score.detach()",
    ),
)
