"""The laws of a call, held against the step: their own words, line and remedy."""

from __future__ import annotations

from types import SimpleNamespace

from sdtps_ref.properties.kit.law import all_laws
from sdtps_ref.properties.kit.outcomes import Inconclusive, Unsupported, Violation
from sdtps_ref.properties.tracing.cause import Cause
from sdtps_ref.properties.tracing.step import Step
from sdtps_ref.properties.tracing.step_reading import StepReading

# One pass of training tells of these; the others need other inputs, seeds or modes.
FORWARD = ("call.decision_is_hard", "call.extra_token_is_of_the_dropped")
BACKWARD = (
    "call.gradient_reaches_score",
    "call.gain_is_about_one",
    "call.score_is_not_steep",
    "call.choice_is_trained",
)
JACOBIAN = ("call.backward_stays_in_its_sample", "call.keeps_the_highest", "call.temperature_divides")
TOGETHER = ("call.decision_meets_its_tokens",)  # judged over all sites at once


def find(step: Step, backward: bool) -> list[Cause]:
    """What these laws say."""
    found = []
    for site in step.sites:
        for law_id in (*FORWARD, *JACOBIAN, *(BACKWARD if backward else ())):
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
        accuses = law_id != "call.choice_is_trained"
        return [Cause(law_id, str(violation), where, effect, fix or law.sections["Remedy"], accuses)]
    except (Unsupported, Inconclusive):
        pass
    except Exception as error:  # a law that stumbles over an unusual step accuses nobody
        step.doubts.append(f"{law_id}: {type(error).__name__}: {error}")
    return []
