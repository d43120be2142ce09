"""What may be wrong with the ranking: by what the kept tokens are the highest."""

from __future__ import annotations

from sdtps_ref.properties.engine.causes.hypotheses.speaking import WAKE_OF_CHOICE, is_hard
from sdtps_ref.properties.engine.causes.hypothesis import MISLED, OTHER_RESULTS, UNTRAINED, Hypothesis, Readings

CHOICE = ("decision.keeps_top_k", "decision.ignores_noise_forward", "symmetry.*", "decision.forward_is_hard")
TOPK = "keep_indices = torch.topk(score, K, dim=-1).indices, of the score as it is, before any noise"


def _set(r: Readings) -> bool:
    return is_hard(r) and bool(r["ranking.set_repeats"])


HYPOTHESES = (
    Hypothesis(
        "ranking.noisy",
        "the choice is made by the score with its noise: another seed keeps other tokens",
        lambda r: r["ranking.set_repeats"] is False and is_hard(r),
        CHOICE,
        WAKE_OF_CHOICE,
        MISLED,
        3,
        effect="the kept tokens change from step to step, and what comes after never settles",
        fix=TOPK,
        training="tokens are kept at random",
    ),
    Hypothesis(
        "ranking.noisy_order",
        "the kept tokens are put into the order of the score with its noise",
        lambda r: r["ranking.order_repeats"] is False and _set(r),
        CHOICE,
        WAKE_OF_CHOICE,
        OTHER_RESULTS,
        3,
        effect="what looks at positions afterwards sees another order in every step",
        fix=TOPK,
    ),
    Hypothesis(
        "ranking.ascending",
        "the ranking ascends: the lowest scores are kept",
        lambda r: r["ranking.by"] == "minus the score" and _set(r),
        CHOICE,
        WAKE_OF_CHOICE,
        UNTRAINED,
        4,
        effect="the gradient raises the scores of the tokens that should be kept, which drops them",
        fix="torch.topk(score, K, dim=-1, largest=True), or argsort(descending=True)",
        training="it is trained backwards",
    ),
    Hypothesis(
        "ranking.over_batch",
        "the choice is made over the whole batch, by {by}",
        lambda r: (
            _set(r)
            and r["ranking.by"] in ("the batch's mean score", "all samples together")
            and {"by": r["ranking.by"]}
        ),
        (*CHOICE, "multimodal.*"),
        WAKE_OF_CHOICE,
        MISLED,
        4,
        effect="what is kept of a sample depends on the samples that it is batched with",
        fix="torch.topk(score, K, dim=-1), sample by sample",
        training="samples choose together",
    ),
    Hypothesis(
        "ranking.by_place",
        "the choice is made by {by} of the tokens",
        lambda r: _set(r) and r["ranking.by"] in ("the place", "the place from the end") and {"by": r["ranking.by"]},
        CHOICE,
        WAKE_OF_CHOICE,
        MISLED,
        4,
        effect="the score decides nothing",
        fix=TOPK,
        training="the choice is not trained",
    ),
    Hypothesis(
        "ranking.place_bonus",
        "a token's place counts in the ranking beside its score",
        lambda r: (
            _set(r)
            and r["ranking.right_when_near"] is False
            and r["ranking.right_far_apart"]
            and r["ranking.right_above_zero"]
        ),
        CHOICE,
        WAKE_OF_CHOICE,
        OTHER_RESULTS,
        3,
        effect="tokens are kept for where they are",
        fix=TOPK,
    ),
    Hypothesis(
        "ranking.quota",
        "places share the K between them: so many are kept of each part, whatever the scores",
        lambda r: _set(r) and r["ranking.quota_by_place"] and not r["ranking.right_far_apart"],
        CHOICE,
        WAKE_OF_CHOICE,
        OTHER_RESULTS,
        4,
        effect="a high score is dropped where its neighbours are high too",
        fix=TOPK,
    ),
    Hypothesis(
        "ranking.by_sign",
        "scores above zero are kept first, whatever their order",
        lambda r: (
            _set(r)
            and r["ranking.right_above_zero"] is False
            and r["ranking.right_below_zero"]
            and not r["ranking.quota_by_place"]
        ),
        CHOICE,
        WAKE_OF_CHOICE,
        OTHER_RESULTS,
        4,
        effect="the score's level decides, which nothing trains",
        fix=TOPK,
    ),
    Hypothesis(
        "ranking.clamped",
        "scores below zero all count the same in the ranking",
        lambda r: (
            _set(r)
            and r["ranking.right_below_zero"] is False
            and r["ranking.right_above_zero"]
            and r["ranking.right_when_near"]
        ),
        CHOICE,
        WAKE_OF_CHOICE,
        OTHER_RESULTS,
        4,
        effect="among them the first ones are kept",
        fix=TOPK,
    ),
    Hypothesis(
        "ranking.in_half",
        "the score is ranked in half precision: what differs in the third digit is a tie",
        lambda r: (
            _set(r)
            and r["ranking.right_when_close"] is False
            and r["ranking.right_when_near"]
            and r["ranking.right_above_zero"]
            and r["ranking.right_below_zero"]
        ),
        CHOICE,
        WAKE_OF_CHOICE,
        OTHER_RESULTS,
        3,
        effect="among trained scores, which are close, the choice is arbitrary",
        fix="rank the score in its own dtype",
    ),
    Hypothesis(
        "ranking.in_half_under_autocast",
        "under autocast the score is ranked in half precision",
        lambda r: _set(r) and r["ranking.right_under_autocast"] is False and r["ranking.right_when_close"],
        ("runtime.autocast",),
        WAKE_OF_CHOICE,
        OTHER_RESULTS,
        3,
        effect="among trained scores, which are close, the choice is arbitrary in mixed precision",
        fix="rank the score in float32, as autocast leaves it",
    ),
)
