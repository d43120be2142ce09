"""A cause for what a law found: the finding itself, where no hypothesis accounts for it."""

from __future__ import annotations

from collections.abc import Mapping

from sdtps_ref.properties.certificates.cause import Cause
from sdtps_ref.properties.certificates.certificate import LawResult
from sdtps_ref.properties.certificates.level import OUT_OF_TIME
from sdtps_ref.properties.engine.causes.hypothesis import (
    AS_A_PROGRAM,
    LESS_EXPLORED,
    MISLED,
    OTHER_RESULTS,
    STEEP,
    UNTRAINED,
)
from sdtps_ref.properties.kit.law import all_laws

# What it does to training that one of these is broken. Findings in the user's own call come before those that were
# made through the contract, and among each other in this order.
RANKS = {
    "call.policy_masks_the_keys": UNTRAINED,  # which leaves a class token's output no gradient for the score
    "call.detached_memory_is_left_alone": UNTRAINED,
    "call.one_of_one_is_one": UNTRAINED,
    "call.kept_tokens_are_trained": UNTRAINED,
    "call.gradient_reaches_score": UNTRAINED,
    "call.gradient_is_finite": UNTRAINED,
    "call.noise_is_finite_at_its_ends": UNTRAINED,
    "call.score_tells_tokens_apart": UNTRAINED,
    "call.ties_do_not_decide": UNTRAINED,
    "call.gain_is_about_one": STEEP,
    "call.backward_stays_in_its_sample": MISLED,
    "call.decision_meets_its_tokens": MISLED,
    "call.decision_stays_in_its_sample": MISLED,
    "call.kept_tokens_are_not_replaced": MISLED,
    "call.keeps_the_highest": MISLED,
    "call.parameters_are_registered": UNTRAINED,
    "call.steps_follow_each_other": UNTRAINED,
    "call.deciding_parameters_are_trained": UNTRAINED,
    "call.rows_of_parameters_differ": UNTRAINED,
    "call.parameters_learn_from_frozen_tokens": UNTRAINED,
    "call.every_term_of_the_score_counts": UNTRAINED,
    "call.schedules_end_well": UNTRAINED,
    "call.parameters_can_leave_zero": UNTRAINED,
    "call.learned_numbers_start_within_bounds": UNTRAINED,
    "call.every_part_of_a_list_is_used": UNTRAINED,
    "call.halves_cancel": MISLED,
    "call.budgets_have_a_minimum": MISLED,
    "call.softmax_is_over_several": UNTRAINED,
    "call.cost_of_the_choice_is_trained": UNTRAINED,
    "call.axes_are_moved": MISLED,
    "call.terms_of_the_score_differ": MISLED,
    "call.masked_entries_do_not_win": MISLED,
    "call.sorted_mask_is_put_back": MISLED,
    "call.weights_are_of_the_kept": MISLED,
    "call.kept_tokens_are_attended": MISLED,
    "call.less_loss_is_rewarded": MISLED,
    "call.losses_get_what_they_take": MISLED,
    "call.logits_are_drawn_from": MISLED,
    "call.losses_are_not_crossed": MISLED,
    "call.score_is_normalised_by_channels": MISLED,
    "call.numbers_are_not_truncated": MISLED,
    "call.hard_and_soft_are_of_one_score": MISLED,
    "call.positions_are_of_the_whole": MISLED,
    "call.grid_is_x_then_y": MISLED,
    "call.grids_keep_their_sides": MISLED,
    "call.routed_tokens_keep_their_order": MISLED,
    "call.backward_draws_nothing": MISLED,
    "call.soft_mask_sums_to_one": MISLED,
    "call.scored_token_is_kept": MISLED,
    "call.eval_keeps_what_training_keeps": MISLED,
    "call.decision_is_hard": MISLED,
    "call.dropped_logits_are_masked": MISLED,
    "call.raised_decision_raises_its_logit": MISLED,
    "call.samples_are_not_paired": MISLED,
    "call.samples_are_independent": MISLED,
    "call.state_is_saved": OTHER_RESULTS,
    "call.running_values_move": OTHER_RESULTS,
    "call.eval_reaches_every_part": OTHER_RESULTS,
    "call.repeats": OTHER_RESULTS,
    "call.eval_leaves_no_trace": OTHER_RESULTS,
    "call.padding_is_not_kept": OTHER_RESULTS,
    "call.nothing_is_written_over": OTHER_RESULTS,
    "call.dropped_tokens_stay_dropped": OTHER_RESULTS,
    "call.noise_is_fresh": LESS_EXPLORED,
    "call.temperature_divides": LESS_EXPLORED,
    "call.choice_is_trained": LESS_EXPLORED,
    "call.default_is_trained": LESS_EXPLORED,
    "call.score_is_not_steep": LESS_EXPLORED,
    "call.extra_token_is_of_the_dropped": LESS_EXPLORED,
    "call.eval_is_deterministic": LESS_EXPLORED,
    "gradient.reaches_score": UNTRAINED,
    "gradient.is_finite": UNTRAINED,
    "noise.is_finite_at_its_ends": UNTRAINED,
    "training.everything_is_trained": UNTRAINED,
    "gradient.parameters_learn_from_frozen_tokens": UNTRAINED,
    "gradient.well_conditioned": STEEP,
    "training.gradient_stays_finite": UNTRAINED,
}
# Laws without a rank of their own, by their stage.
STAGES = {
    "call": LESS_EXPLORED,
    "gradient": MISLED,
    "decision": MISLED,
    "training": MISLED,
    "selection": OTHER_RESULTS,
    "aggregation": OTHER_RESULTS,
    "multimodal": OTHER_RESULTS,
    "branches": OTHER_RESULTS,
    "symmetry": OTHER_RESULTS,
    "noise": LESS_EXPLORED,
}
# What a finding in the user's own call explains of the laws that are judged through the contract.
FOLLOWS = {
    "call.one_of_one_is_one": ("call.gradient_reaches_score", "call.choice_is_trained"),
    "call.policy_masks_the_keys": ("call.gradient_reaches_score",),
    "call.detached_memory_is_left_alone": ("call.gradient_reaches_score", "call.score_tells_tokens_apart"),
    "call.kept_tokens_are_trained": ("call.gradient_reaches_score", "call.what_chooses_is_trained"),
    "call.ties_do_not_decide": ("call.keeps_the_highest",),
    "call.kept_tokens_are_not_replaced": ("call.scored_token_is_kept",),
    "call.gradient_reaches_score": ("gradient.reaches_score", "gradient.matches_closed_form"),
    "call.gain_is_about_one": ("gradient.well_conditioned", "gradient.is_finite_in_float16"),
}
TRAINING = {
    "call.less_loss_is_rewarded": "it learns to choose the worst",
    "call.detached_memory_is_left_alone": "gradients of other numbers",
    "call.ties_do_not_decide": "what ties is not trained",
    "call.gradient_is_finite": "NaN gradients",
    "call.noise_is_finite_at_its_ends": "NaN in one step of many",
    "noise.is_finite_at_its_ends": "NaN in one step of many",
    "call.score_tells_tokens_apart": "all tokens score alike",
    "call.score_is_not_saturated": "saturated score",
    "call.parameters_are_registered": "a part is never trained",
    "call.kept_tokens_are_trained": "tokens get no gradient",
    "call.steps_follow_each_other": "it stops at the second step",
    "call.deciding_parameters_are_trained": "a part is never trained",
    "call.parameters_learn_from_frozen_tokens": "a part is never trained",
    "gradient.parameters_learn_from_frozen_tokens": "a part is never trained",
    "call.rows_of_parameters_differ": "its rows stay alike",
    "call.sorted_mask_is_put_back": "the score decides nothing",
    "call.weights_are_of_the_kept": "gradients go to other tokens",
    "call.kept_tokens_are_attended": "nothing is selected",
    "call.losses_get_what_they_take": "a loss leads elsewhere",
    "call.losses_are_not_crossed": "a loss mixes the samples",
    "call.score_is_normalised_by_channels": "what is learned is no cosine",
    "call.numbers_are_not_truncated": "a goal is another number",
    "call.one_of_one_is_one": "the score is never trained",
    "call.policy_masks_the_keys": "nothing is selected",
    "call.hard_and_soft_are_of_one_score": "the score decides nothing",
    "call.positions_are_of_the_whole": "other tokens are kept",
    "call.grid_is_x_then_y": "other places are looked at",
    "call.routed_tokens_keep_their_order": "it reads what comes later",
    "call.grids_keep_their_sides": "rows are scrambled",
    "call.cost_of_the_choice_is_trained": "a budget trains nothing",
    "call.axes_are_moved": "rows are scrambled",
    "call.every_term_of_the_score_counts": "a part is never trained",
    "call.schedules_end_well": "it ends late in training",
    "call.parameters_can_leave_zero": "a part is never trained",
    "call.learned_numbers_start_within_bounds": "a part is never trained",
    "call.halves_cancel": "D is no choice",
    "call.budgets_have_a_minimum": "a budget closes all gates",
    "call.every_part_of_a_list_is_used": "a part is never trained",
    "call.softmax_is_over_several": "these scores are not trained",
    "call.running_values_move": "a running value stands still",
    "call.masked_entries_do_not_win": "a loss is always 0 in part",
    "call.generator_goes_on": "noise is always the same",
    "call.backward_draws_nothing": "gradients of another choice",
    "call.soft_mask_sums_to_one": "gradients point elsewhere",
    "call.scored_token_is_kept": "gradients go to other tokens",
    "call.logits_are_drawn_from": "the choice cannot get sure",
    "call.dropped_logits_are_masked": "nothing is selected",
    "call.raised_decision_raises_its_logit": "gradients of either sign",
    "call.what_is_scored_is_used": "a part is never trained",
    "call.gradient_reaches_score": "the score is never trained",
    "gradient.reaches_score": "the score is never trained",
    "gradient.is_finite": "NaN gradients",
    "call.choice_is_trained": "the choice is not trained",
    "call.keeps_the_highest": "it is trained backwards",
    "call.backward_stays_in_its_sample": "gradients cross samples",
    "call.decision_meets_its_tokens": "gradients go to other tokens",
    "call.decision_stays_in_its_sample": "gradients cross samples",
    "call.kept_tokens_are_not_replaced": "kept tokens are lost",
    "call.score_is_not_steep": "steep score",
    "training.gradient_stays_finite": "NaN gradients",
    "training.everything_is_trained": "a part is never trained",
}
GAINS = ("call.gain_is_about_one", "gradient.well_conditioned")


def rank(law_id: str) -> int:
    """What it does to training that this law is broken; see `hypothesis`."""
    return RANKS.get(law_id, STAGES.get(law_id.partition(".")[0], AS_A_PROGRAM))


def _following(result: LawResult, failing: Mapping[str, LawResult]) -> list[str]:
    """What fails with it: what follows from it, and laws that ended in the same exception."""
    follows = [other for other in FOLLOWS.get(result.id, ()) if other in failing]
    return follows + [other for other in failing if other not in follows and _raised_alike(result, failing[other])]


def _raised_alike(one: LawResult, other: LawResult) -> bool:
    if one.id == other.id or one.failure is None or other.failure is None or not one.failure.raised:
        return False
    return (one.failure.raised, one.failure.message) == (other.failure.raised, other.failure.message)


# What is said of a law that came to no end, or of whose cases too few said anything: no claim was seen broken.
NO_END = (OUT_OF_TIME, "the process ended with exit status", "cases said something")


def unfinished(result: LawResult) -> bool:
    """Whether the law was not judged to its end, so that what it claims was not seen broken."""
    return result.status == "error" and any(words in result.reason for words in NO_END)


def cause_of(result: LawResult, failing: Mapping[str, LawResult]) -> Cause:
    """The finding as a cause; it explains its own law, and those that follow from it."""
    failure = result.failure
    law = all_laws().get(result.id)
    remedy = " ".join(law.sections["Remedy"].split()) if law else ""
    if unfinished(result):
        said = f"{result.id} was not judged to its end: {result.reason}"
        return Cause(result.id, said, (result.id,), where=failure.where if failure else None)
    return Cause(
        kind=result.id,
        sentence=failure.message if failure else result.reason,
        explains=(result.id, *_following(result, failing)),
        effect=failure.effect if failure else "",
        fix=(failure.fix if failure else "") or remedy,
        training=_training(result),
        where=failure.where if failure else None,
    )


def _training(result: LawResult) -> str:
    """What it does to training, in two or three words; empty where training does not suffer."""
    if result.id in GAINS:
        gain = result.findings.get("gain")
        if isinstance(gain, float):
            return f"gain {gain:.0e}" if gain > 1 else "D's gradient vanishes"
        return "gain"
    return TRAINING.get(result.id, "")
