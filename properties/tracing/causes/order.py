"""All that is wrong with a step, the cause first that accounts for most."""

from __future__ import annotations

from sdtps_ref.properties.tracing.cause import Cause
from sdtps_ref.properties.tracing.causes import by_law, precision, score, soft
from sdtps_ref.properties.tracing.soft_mask_summary import SoftSummary
from sdtps_ref.properties.tracing.step import Step
from sdtps_ref.properties.watching.sites import Site

ORDER = (
    "overflow",
    "call.gain_is_about_one",
    "frozen",
    "call.detached_memory_is_left_alone",
    "call.decision_meets_its_tokens",
    "call.hard_and_soft_are_of_one_score",
    "call.gradient_reaches_score",
    "call.decision_is_hard",
    "call.backward_stays_in_its_sample",
    "call.keeps_the_highest",
    "call.axes_are_moved",
    "call.grids_keep_their_sides",
    "call.tokens_are_picked_whole",
    "call.kept_tokens_are_attended",
    "call.dropped_logits_are_masked",
    "call.raised_decision_raises_its_logit",
    "call.score_tells_tokens_apart",
    "call.ties_do_not_decide",
    "call.masked_entries_do_not_win",
    "call.losses_get_what_they_take",
    "call.numbers_are_not_truncated",
    "cancelled",
    "temperature_low",
    "saturated",
    "temperature_high",
    "call.score_is_not_steep",
    "same_for_all",
    "call.terms_of_the_score_differ",
    "call.score_is_normalised_by_channels",
    "call.one_draw_serves_both",
    "call.logits_are_drawn_from",
    "call.what_is_scored_is_used",
    "call.nothing_is_written_over",
    "call.places_are_of_the_kept",
    "call.keeps_no_complement",
    "call.keeps_as_many_as_asked",
    "not_in_optimizer",
    "not_moved",
    "noise_shared",
    "noise_frozen",
    "call.temperature_divides",
    "call.extra_token_is_of_the_dropped",
    "call.choice_is_trained",
    "call.score_is_not_saturated",
    "call.every_term_of_the_score_counts",
    "call.parts_of_a_list_differ",
    "call.no_token_is_drawn_twice",
    "keeps_all",
    "noise_absent",
)


def of_the_pass(step: Step, summaries: dict[int, SoftSummary], backward: bool, repeated: list[Site]) -> list[Cause]:
    """Causes that the forward and backward pass show."""
    found = precision.find(step) if backward else []
    found += by_law.find(step, backward)
    found += score.find(step)
    found += soft.find(step, summaries, backward, repeated)
    return found


def ordered(found: list[Cause]) -> list[Cause]:
    """Without repetition and without what follows from others; the cause first that accounts for most."""
    kinds = {cause.kind for cause in found}
    found = [cause for cause in found if not _is_follower(cause, kinds)]
    unique = {(cause.kind, str(cause.where)): cause for cause in reversed(found)}
    return sorted(unique.values(), key=lambda cause: (not cause.accuses, ORDER.index(cause.kind)))


# What another cause brings with it, and is not said twice.
FOLLOWS = {
    "call.gradient_reaches_score": {"frozen", "overflow", "cancelled", "keeps_all"},
    "call.gain_is_about_one": {"overflow"},
    "call.choice_is_trained": {"frozen", "keeps_all"},
    "call.score_is_not_steep": {"overflow"},
    "call.score_is_not_saturated": {"saturated", "temperature_low"},
    "saturated": {"temperature_low"},
    "same_for_all": {"call.score_tells_tokens_apart"},
    "not_moved": {"frozen", "call.gradient_reaches_score", "cancelled", "not_in_optimizer", "overflow"},
    "not_in_optimizer": {"frozen"},
    "noise_absent": {"keeps_all", "temperature_high", "temperature_low", "saturated"},
}


def _is_follower(cause: Cause, kinds: set[str]) -> bool:
    return bool(FOLLOWS.get(cause.kind, set()) & kinds)
