"""From what failed to what is wrong: the explanation that accounts for most of it comes first."""

from __future__ import annotations

from collections.abc import Iterable

from sdtps_ref.properties.certificates.cause import Cause
from sdtps_ref.properties.certificates.certificate import LawResult
from sdtps_ref.properties.kit.law import all_laws

# By what it does to training, the worst first; what is not listed comes after, in the order of the laws.
BY_EFFECT = (
    "call.gradient_reaches_score",
    "call.gain_is_about_one",
    "call.backward_stays_in_its_sample",
    "call.decision_meets_its_tokens",
    "call.keeps_the_highest",
    "call.decision_is_hard",
    "call.samples_are_independent",
    "call.repeats",
    "call.noise_is_fresh",
    "call.temperature_divides",
    "call.choice_is_trained",
    "call.default_is_trained",
    "call.score_is_not_steep",
    "call.extra_token_is_of_the_dropped",
    "call.eval_is_deterministic",
)
# What a finding in the user's own call explains of the laws that are judged through the contract.
FOLLOWS = {
    "call.gradient_reaches_score": ("gradient.reaches_score", "gradient.matches_closed_form"),
    "call.gain_is_about_one": ("gradient.well_conditioned", "gradient.is_finite_in_float16"),
}


def causes_of(results: Iterable[LawResult]) -> tuple[Cause, ...]:
    """The causes behind the failures and warnings, the one that matters most first."""
    failing = {result.id: result for result in results if result.status in ("failed", "error")}
    order = [law_id for law_id in BY_EFFECT if law_id in failing]
    order += [law_id for law_id in failing if law_id not in order]
    explained: set[str] = set()
    causes = []
    for law_id in order:
        if law_id in explained:
            continue
        result = failing[law_id]
        follows = [other for other in FOLLOWS.get(law_id, ()) if other in failing]
        explained.update(follows)
        causes.append(_cause(result, (law_id, *follows)))
    # A MUST before a SHOULD, but what ruins training before both.
    return tuple(sorted(causes, key=lambda cause: (not cause.training, not failing[cause.kind].refuses)))


def _cause(result: LawResult, explains: tuple[str, ...]) -> Cause:
    failure = result.failure
    law = all_laws().get(result.id)
    remedy = " ".join(law.sections["Remedy"].split()) if law else ""
    return Cause(
        kind=result.id,
        sentence=failure.message if failure else result.reason,
        explains=explains,
        effect=failure.effect if failure else "",
        fix=(failure.fix if failure else "") or remedy,
        training=_training(result),
        where=failure.where if failure else None,
    )


def _training(result: LawResult) -> str:
    """What it does to training, in two or three words; empty where training does not suffer."""
    gain = result.findings.get("gain")
    words = {
        "call.gradient_reaches_score": "the score is never trained",
        "gradient.reaches_score": "the score is never trained",
        "call.gain_is_about_one": f"gain {gain:.0e}" if isinstance(gain, float) else "gain",
        "gradient.well_conditioned": f"gain {gain:.0e}" if isinstance(gain, float) else "gain",
        "call.choice_is_trained": "the choice is not trained",
        "call.keeps_the_highest": "it is trained backwards",
        "call.backward_stays_in_its_sample": "gradients cross samples",
        "call.decision_meets_its_tokens": "gradients go to other tokens",
        "call.score_is_not_steep": "steep score",
    }
    return words.get(result.id, "")
