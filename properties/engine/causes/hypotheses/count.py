"""What may be wrong with how many tokens D marks, and with ties among them."""

from __future__ import annotations

from typing import Any

from sdtps_ref.properties.engine.causes.hypotheses.speaking import WAKE_OF_CHOICE, count_is_wrong, counts, is_hard
from sdtps_ref.properties.engine.causes.hypothesis import MISLED, OTHER_RESULTS, Hypothesis, Readings


def _off_by_one(r: Readings) -> Any:
    read = counts(r)
    steps = {got - asked for asked, got, marked in read if marked == [got]}
    if len(steps) != 1 or len({*steps, 0}) == 1 or any(marked != [got] for _, got, marked in read):
        return None
    return {"step": f"{steps.pop():+d}"}


def _ratio(r: Readings) -> Any:
    wrong = [(asked, got) for asked, got, marked in counts(r) if got != asked and marked == [got]]
    if not wrong or _off_by_one(r):
        return None
    return {"asked": wrong[0][0], "got": wrong[0][1]}


def _marks_others(r: Readings) -> Any:
    wrong = [(asked, marked) for asked, got, marked in counts(r) if got == asked and marked != [asked]]
    if not wrong or r["decision.values"] == "soft" or r["ranking.by"] == "all samples together":
        return None
    return {"asked": wrong[0][0], "marked": wrong[0][1][0]}


def _ties(r: Readings) -> bool:
    return bool(r["ties.marked"]) and min(r["ties.marked"]) >= r["ties.asked"] and r["ties.marked"] != [r["ties.asked"]]


HYPOTHESES = (
    Hypothesis(
        "decision.constant_where_all_are_kept",
        "where nothing is dropped (K = N) D is a constant, that carries no gradient",
        lambda r: r["all_kept.trained"] is False and r["decision.requires_grad"] is True,
        ("gradient.reaches_score",),
        WAKE_OF_CHOICE,
        MISLED,
        3,
        effect="the score is not trained by whatever keeps all tokens, as a schedule that starts at K = N does",
        fix="the same way for K = N as for any K",
    ),
    Hypothesis(
        "keep.off_by_one",
        "K is off by {step}, for every size",
        _off_by_one,
        ("shape.*", "decision.*", "selection.*"),
        WAKE_OF_CHOICE,
        OTHER_RESULTS,
        3,
        effect="other shapes than asked for",
        fix="keep K tokens",
    ),
    Hypothesis(
        "keep.rounded_ratio",
        "K comes out of a ratio rounded: {got} tokens are kept where {asked} were asked for",
        _ratio,
        ("shape.*", "decision.*", "selection.*"),
        WAKE_OF_CHOICE,
        OTHER_RESULTS,
        3,
        effect="for some sizes one token more or less is kept than asked for",
        fix="keep the number itself, or round(N * ratio)",
    ),
    Hypothesis(
        "decision.marks_others",
        "D marks {marked} tokens where {asked} are gathered",
        _marks_others,
        ("decision.forward_is_hard", "selection.*", "shape.*"),
        WAKE_OF_CHOICE,
        MISLED,
        3,
        effect="tokens that are pooled and tokens that are trained are not the same",
        fix="make the hard mask of the very keep_indices that gather the tokens",
    ),
    Hypothesis(
        "keep.in_half",
        "K is computed in half precision: in bfloat16 another number of tokens is kept than asked for",
        lambda r: r["decision.values_in_half"] == "another K" and is_hard(r) and not count_is_wrong(r),
        ("shape.*", "decision.*", "selection.*"),
        WAKE_OF_CHOICE,
        OTHER_RESULTS,
        3,
        effect="other shapes than asked for, in bfloat16 and float16 alone",
        fix="hold K, or the share of tokens to keep, as a number of Python and not as a buffer, which .half() rounds",
    ),
    Hypothesis(
        "positions.in_half",
        "positions are counted in half precision: past 256 tokens two places are one",
        lambda r: (
            r["decision.values_in_half"] not in (None, "hard", "another K") and is_hard(r) and not count_is_wrong(r)
        ),
        ("decision.forward_is_hard", "shape.*"),
        WAKE_OF_CHOICE,
        OTHER_RESULTS,
        3,
        effect="wrong tokens are marked in bfloat16, and no error is raised",
        fix="torch.arange(N, device=score.device), in int64",
    ),
    Hypothesis(
        "ties.threshold",
        "all scores that tie with the K-th are marked, as by `score >= threshold`",
        lambda r: _ties(r) and not count_is_wrong(r) and r["ranking.by"] == "score" and r["decision.values"] == "hard",
        ("decision.forward_is_hard",),
        WAKE_OF_CHOICE,
        OTHER_RESULTS,
        3,
        effect="with ties, which half precision has many of, more than K tokens are marked",
        fix="hard_mask = zeros_like(score).scatter(-1, keep_indices, 1.0)",
    ),
    Hypothesis(
        "ties.broken_twice",
        "D and the gather choose for themselves: among equal scores they take different tokens",
        lambda r: (
            r["ties.aligned"] is False and r["ties.marked"] == [r["ties.asked"]] and r["gather.of"] == "the marked"
        ),
        ("selection.decision_is_aligned", "selection.gathers_kept_tokens"),
        WAKE_OF_CHOICE,
        MISLED,
        3,
        effect="a token answers for another one's score",
        fix="one topk, whose indices make the mask and gather the tokens",
    ),
)
