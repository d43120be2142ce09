"""The headline says what was not looked at: small words for few laws."""

import json

from sdtps_ref.properties.certificates.certificate import Certificate, LawResult
from sdtps_ref.properties.certificates.level import NOT_RUN
from sdtps_ref.properties.kit.law import all_laws
from sdtps_ref.properties.reports.badge import badge
from sdtps_ref.properties.reports.wording import verdict_words

CONTRACT = {law_id: law for law_id, law in all_laws().items() if law.needs != ("call",)}


def certificate(*methods: str, **statuses: str) -> Certificate:
    """Of all laws that these methods can face, passed but for those that are named, with `__` for the dot."""
    named = {name.replace("__", "."): status for name, status in statuses.items()}
    laws = []
    for law_id, law in CONTRACT.items():
        status = "skipped" if law.missing(methods) else named.get(law_id, "passed")
        laws.append(LawResult(law_id, law.level, status, reason="a reason", examples=9))  # type: ignore[arg-type]
    return Certificate({"name": "mine", "methods": list(methods)}, {"laws": "all", "shard": None}, tuple(laws))


def test_a_model_alone_is_certified_in_small_words() -> None:
    """Of a model alone nothing is known of its mask or D, and the first line says so."""
    words = verdict_words(certificate("model"))

    passed = sum(law.missing(("model",)) is None for law in CONTRACT.values())
    assert words.startswith(f"certified in part, by {passed} of {len(CONTRACT)} laws; not looked at: ")
    assert "the pooling and its mask" in words and "whether D reaches the pooling" in words


def test_a_level_says_what_is_beyond_it() -> None:
    """A selector alone says so in the headline, and what is whole has nothing to add."""
    methods = ("selector", "aggregator", "pipeline", "multimodal", "model")

    assert verdict_words(certificate("selector")).startswith("CERTIFIED, level selection; not looked at: the pooling")
    assert verdict_words(certificate(*methods)) == "CERTIFIED, level full"


def test_blocked_laws_are_counted_and_the_badge_is_not_green() -> None:
    """Expected failures leave laws unjudged: the headline and the badge count them."""
    found = certificate(
        "selector",
        "aggregator",
        "pipeline",
        aggregation__is_convex="xfailed",
        gradient__matches_closed_form="blocked",
        gradient__follows_temperature="blocked",
    )

    shield = json.loads(badge(found))
    assert verdict_words(found).startswith("CERTIFIED, level selection, with 1 expected failure; not looked at: ")
    assert verdict_words(found).endswith(f"; 2 of {len(CONTRACT)} laws never judged")
    assert (shield["color"], "2 laws never judged" in shield["message"]) == ("yellow", True)


def test_what_was_not_finished_is_not_certified() -> None:
    """Laws that were not run come first."""
    found = certificate("selector")
    late = Certificate(
        found.implementation,
        found.environment,
        (
            *found.laws[:-3],
            *(LawResult(r.id, "MUST", "skipped", reason=f"{NOT_RUN}2 laws hung") for r in found.laws[-3:]),
        ),
    )

    assert verdict_words(late) == f"NOT FINISHED, 3 of {len(CONTRACT)} laws not run: 2 laws hung"


def test_meddling_is_the_headline() -> None:
    """Not a list of laws, but what it did to the judge."""
    found = certificate("selector")
    meddled = Certificate(
        found.implementation | {"meddling": ["it replaced torch.isfinite"]}, found.environment, found.laws
    )

    assert verdict_words(meddled) == "REFUSED: it replaced torch.isfinite"
    assert meddled.exit_status == 1
