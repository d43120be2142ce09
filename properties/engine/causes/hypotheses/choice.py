"""What may be wrong with the choice: the ranking, the count, ties, and what is gathered."""

from __future__ import annotations

from typing import Any

from sdtps_ref.properties.engine.causes.hypothesis import MISLED, OTHER_RESULTS, STEEP, UNTRAINED, Hypothesis, Readings

CHOICE = ("decision.keeps_top_k", "decision.ignores_noise_forward", "symmetry.*", "decision.forward_is_hard")
WAKE = ("symmetry.*", "gradient.*", "selection.*", "runtime.*", "multimodal.*", "training.*", "decision.*",
        "branches.*", "shape.*")  # fmt: skip
TOPK = "keep_indices = torch.topk(score, K, dim=-1).indices, of the score as it is, before any noise"


def _hard(r: Readings) -> bool:
    return r["decision.values"] == "hard"


def _set(r: Readings) -> bool:
    return _hard(r) and bool(r["ranking.set_repeats"])


def _count(r: Readings) -> list[tuple[int, int, list[int]]]:
    asked = r["keep.asked"]
    return list(zip(asked, r["keep.gathered"], r["keep.marked"], strict=True)) if asked else []


def _off_by_one(r: Readings) -> Any:
    counts = _count(r)
    steps = {got - asked for asked, got, marked in counts if marked == [got]}
    if len(steps) != 1 or len({*steps, 0}) == 1 or any(marked != [got] for _, got, marked in counts):
        return None
    return {"step": f"{steps.pop():+d}"}


def _ratio(r: Readings) -> Any:
    wrong = [(asked, got) for asked, got, marked in _count(r) if got != asked and marked == [got]]
    if not wrong or _off_by_one(r):
        return None
    return {"asked": wrong[0][0], "got": wrong[0][1]}


def _marks_others(r: Readings) -> Any:
    wrong = [(asked, marked) for asked, got, marked in _count(r) if got == asked and marked != [asked]]
    if not wrong or r["decision.values"] == "soft" or r["ranking.by"] == "all samples together":
        return None
    return {"asked": wrong[0][0], "marked": wrong[0][1][0]}


def _ties(r: Readings) -> bool:
    return bool(r["ties.marked"]) and min(r["ties.marked"]) >= r["ties.asked"] and r["ties.marked"] != [r["ties.asked"]]


HYPOTHESES = (
    Hypothesis(
        "decision.soft_forward",
        "the soft mask is used forward: D holds numbers between 0 and 1",
        lambda r: r["decision.values"] == "soft",
        ("decision.forward_is_hard",),
        WAKE,
        UNTRAINED,
        4,
        effect="tokens are weighted in training and cut off afterwards: another model is deployed",
        fix="decision = hard_mask + (soft_mask - soft_mask.detach())",
        training="soft in training",
    ),
    Hypothesis(
        "decision.rounding",
        "D is 0 and 1 but for rounding, as `hard + soft - soft.detach()` is without its parentheses",
        lambda r: r["decision.values"] == "rounded",
        ("decision.forward_is_hard",),
        WAKE,
        OTHER_RESULTS,
        4,
        effect="a D of 0.99999994 moves a logit by 596 through a mask of 1e10",
        fix="decision = hard_mask + (soft_mask - soft_mask.detach())",
    ),
    Hypothesis(
        "decision.two_sides",
        "the two sides of soft - soft.detach() are rounded differently under autocast",
        lambda r: r["decision.values_under_autocast"] in ("rounded", "soft") and _hard(r),
        ("runtime.autocast",),
        WAKE,
        OTHER_RESULTS,
        3,
        effect="D is no longer hard in mixed precision",
        fix="soft_mask.detach() of the very tensor that is added",
    ),
    Hypothesis(
        "ranking.noisy",
        "the choice is made by the score with its noise: another seed keeps other tokens",
        lambda r: r["ranking.set_repeats"] is False and _hard(r),
        CHOICE,
        WAKE,
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
        WAKE,
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
        WAKE,
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
        WAKE,
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
        WAKE,
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
        WAKE,
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
        WAKE,
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
        WAKE,
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
        WAKE,
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
        WAKE,
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
        WAKE,
        OTHER_RESULTS,
        3,
        effect="among trained scores, which are close, the choice is arbitrary in mixed precision",
        fix="rank the score in float32, as autocast leaves it",
    ),
    Hypothesis(
        "keep.off_by_one",
        "K is off by {step}, for every size",
        _off_by_one,
        ("shape.*", "decision.*", "selection.*"),
        WAKE,
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
        WAKE,
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
        WAKE,
        MISLED,
        3,
        effect="tokens that are pooled and tokens that are trained are not the same",
        fix="make the hard mask of the very keep_indices that gather the tokens",
    ),
    Hypothesis(
        "positions.in_half",
        "positions are counted in half precision: past 256 tokens two places are one",
        lambda r: r["decision.values_in_half"] not in (None, "hard") and _hard(r) and not _count_wrong(r),
        ("decision.forward_is_hard", "shape.*"),
        WAKE,
        OTHER_RESULTS,
        3,
        effect="wrong tokens are marked in bfloat16, and no error is raised",
        fix="torch.arange(N, device=score.device), in int64",
    ),
    Hypothesis(
        "ties.threshold",
        "all scores that tie with the K-th are marked, as by `score >= threshold`",
        lambda r: _ties(r) and not _count_wrong(r) and r["ranking.by"] == "score" and r["decision.values"] == "hard",
        ("decision.forward_is_hard",),
        WAKE,
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
        WAKE,
        MISLED,
        3,
        effect="a token answers for another one's score",
        fix="one topk, whose indices make the mask and gather the tokens",
    ),
    Hypothesis(
        "gather.first_k",
        "the first K tokens are taken, not those that D marks",
        lambda r: r["gather.of"] == "the first K",
        ("selection.gathers_kept_tokens",),
        WAKE,
        MISLED,
        3,
        effect="the score decides nothing of what is pooled",
        fix="tokens.gather(1, keep_indices.unsqueeze(-1).expand(-1, -1, C))",
        training="the choice is not trained",
    ),
    Hypothesis(
        "gather.another_sample",
        "tokens of another sample are gathered: indices of a row are used on the flattened batch",
        lambda r: r["gather.of"] == "another sample's",
        ("selection.gathers_kept_tokens", "symmetry.batch_independent"),
        WAKE,
        MISLED,
        3,
        effect="every sample is given the first one's tokens",
        fix="tokens.gather(1, keep_indices.unsqueeze(-1).expand(-1, -1, C))",
        training="samples are mixed up",
    ),
    Hypothesis(
        "gather.other_tokens",
        "other tokens of the sample are gathered than D marks",
        lambda r: r["gather.of"] == "other tokens of the sample" and _hard(r) and not _count_wrong(r),
        ("selection.gathers_kept_tokens", "selection.decision_is_aligned"),
        WAKE,
        MISLED,
        effect="a token answers for another one's score",
        fix="gather the tokens by the keep_indices that D is made of",
    ),
    Hypothesis(
        "decision.order",
        "D at the kept positions comes in another order than the tokens{how}",
        lambda r: (
            r["selected_decision.order"] in ("by place", "another")
            and r["gather.of"] == "the marked"
            and r["gradient.repeats"]
            and {"how": ": by place" * (r["selected_decision.order"] == "by place")}
        ),
        ("selection.decision_is_aligned",),
        WAKE,
        MISLED,
        3,
        effect="a token answers for another one's score",
        fix="selected_decision = decision.gather(-1, keep_indices)",
        training="gradients go to other tokens",
    ),
    Hypothesis(
        "tokens.detached",
        "the selected tokens carry no gradient",
        lambda r: r["gather.gradient"] == 0.0 or r["gather.gradient"] == -0.0,
        ("selection.tokens_carry_gradient",),
        WAKE,
        UNTRAINED,
        3,
        effect="nothing before the selection is trained through the tokens",
        fix="gather the tokens themselves, not tokens.detach() or tokens.data",
        training="the backbone gets no gradient",
    ),
    Hypothesis(
        "tokens.gradient_scaled",
        "the selected tokens hand on {slope} times their gradient",
        lambda r: (
            isinstance(r["gather.gradient"], float)
            and abs(r["gather.gradient"]) > 1e-9
            and abs(r["gather.gradient"] - 1) > 1e-3
            and {"slope": f"{r['gather.gradient']:.3g}"}
        ),
        ("selection.tokens_carry_gradient",),
        WAKE,
        STEEP,
        3,
        effect="what is before the selection learns at another rate",
        fix="gather the tokens, and nothing else",
    ),
)


def _count_wrong(r: Readings) -> bool:
    return any(got != asked or marked != [asked] for asked, got, marked in _count(r))
