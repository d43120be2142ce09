"""The laws of a call, held against the step: their own words, line and remedy."""

from __future__ import annotations

from types import SimpleNamespace

from sdtps_ref.properties.kit.law import all_laws
from sdtps_ref.properties.kit.outcomes import Inconclusive, Unsupported, Violation
from sdtps_ref.properties.kit.probe import first_line
from sdtps_ref.properties.tracing.cause import Cause
from sdtps_ref.properties.tracing.step import Step
from sdtps_ref.properties.tracing.step_reading import StepReading
from sdtps_ref.properties.watching.storage import is_there

# One pass of training tells of these; the others need other inputs, seeds or modes.
FORWARD = (
    "call.decision_is_hard",
    "call.extra_token_is_of_the_dropped",
    "call.keeps_as_many_as_asked",
    "call.keeps_no_complement",
    "call.dropped_logits_are_masked",
    "call.raised_decision_raises_its_logit",
    "call.kept_tokens_are_attended",
    "call.tokens_are_picked_whole",
    "call.places_are_of_the_kept",
    "call.axes_are_moved",
    "call.grids_keep_their_sides",
    "call.one_draw_serves_both",
    "call.logits_are_drawn_from",
    "call.no_token_is_drawn_twice",
    "call.score_tells_tokens_apart",
    "call.ties_do_not_decide",
    "call.detached_memory_is_left_alone",
    "call.hard_and_soft_are_of_one_score",
    "call.score_is_not_saturated",
    "call.score_is_normalised_by_channels",
    "call.terms_of_the_score_differ",
    "call.every_term_of_the_score_counts",
    "call.masked_entries_do_not_win",
    "call.nothing_is_written_over",
    "call.losses_get_what_they_take",
    "call.numbers_are_not_truncated",
    "call.what_is_scored_is_used",
    "call.parts_of_a_list_differ",
)
BACKWARD = (
    "call.gradient_reaches_score",
    "call.gain_is_about_one",
    "call.score_is_not_steep",
    "call.choice_is_trained",
)
JACOBIAN = ("call.backward_stays_in_its_sample", "call.keeps_the_highest", "call.temperature_divides")
REMARKS = (
    "call.choice_is_trained",
    "call.score_is_not_saturated",
    "call.every_term_of_the_score_counts",
    "call.parts_of_a_list_differ",
    "call.no_token_is_drawn_twice",
)
TOGETHER = ("call.decision_meets_its_tokens",)  # judged over all sites at once


FREED = "backward through the graph a second time"  # as every ordinary step leaves it: what needs it asks nothing

# Laws that read no numbers but those of the score and D, and what came to them in the backward pass.
OF_SCORE_AND_D = {*JACOBIAN, *TOGETHER, "call.decision_is_hard", "call.extra_token_is_of_the_dropped",
                  "call.gradient_reaches_score", "call.gain_is_about_one", "call.score_is_not_steep",
                  "call.choice_is_trained"}  # fmt: skip


def find(step: Step, backward: bool) -> list[Cause]:
    """What these laws say. Of a model whose parameters were freed by now, as FSDP does, only some can be asked."""
    found = []
    laws = (*FORWARD, *JACOBIAN, *(BACKWARD if backward else ()))
    if not all(is_there(t) for call in step.reading.watch.calls for t in (*call.read, *call.tensors)):
        laws = tuple(law_id for law_id in laws if law_id in OF_SCORE_AND_D)
    for site in step.sites:
        for law_id in laws:
            found += _held(step, step.reading.at(site), law_id)
    for law_id in TOGETHER if backward else ():
        found += _held(step, step.reading, law_id)
    return found


def _held(step: Step, reading: StepReading, law_id: str) -> list[Cause]:
    law = all_laws()[law_id]
    passes = step.passes
    passes.read(reading)
    probe = SimpleNamespace(implementation=SimpleNamespace(call=lambda: passes), findings={}, evidence={}, notes=set())
    try:
        law.check(probe)  # type: ignore[arg-type]
    except Violation as violation:
        where, effect, fix = violation.where, violation.effect, violation.fix
        return [Cause(law_id, str(violation), where, effect, fix or law.sections["Remedy"], law_id not in REMARKS)]
    except (Unsupported, Inconclusive):
        pass
    except Exception as error:  # a law that stumbles over an unusual step accuses nobody
        if FREED not in str(error):
            step.doubts.append(f"{law_id}: {type(error).__name__}: {first_line(error)}")
    return []
