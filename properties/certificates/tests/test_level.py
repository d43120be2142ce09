"""The level follows what was judged, and nothing is certified of which nothing was measured."""

import pytest

from sdtps_ref.properties.certificates.certificate import Certificate, Failure, LawResult
from sdtps_ref.properties.certificates.level import CORE
from sdtps_ref.properties.contract import METHODS
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.law import all_laws

CASE = Case(batch=1, num_tokens=4, keep=2, dim=8, slots=2)
WHOLE = {"laws": "all", "shard": None}


def certificate(methods: tuple[str, ...], **statuses: str) -> Certificate:
    """Of an implementation with these methods: every law passed but those named, with `__` for the dot."""
    named = {name.replace("__", "."): status for name, status in statuses.items()}
    laws = tuple(
        LawResult(law_id, law.level, named.get(law_id, "passed"), reason="a reason", examples=9)  # type: ignore[arg-type]
        for law_id, law in all_laws().items()
    )
    return Certificate({"name": "mine", "methods": list(methods)}, WHOLE, laws)


def test_every_law_of_a_core_is_a_law_that_refuses() -> None:
    """A core names MUSTs that there are, for methods that the contract has."""
    laws = all_laws()
    asked_for = {law_id for method in METHODS for law_id in CORE[method]}

    assert asked_for <= set(laws)
    assert {laws[law_id].level for law_id in asked_for} == {"MUST"}


def test_a_core_that_was_skipped_is_no_level() -> None:
    """A selector on which the core was not judged is not certified, whatever else passed."""
    kept = certificate(("selector",))
    skipped = certificate(("selector",), decision__keeps_top_k="skipped")

    assert (kept.verdict, kept.level) == ("certified", "selection")
    assert (skipped.verdict, skipped.level, skipped.exit_status) == ("error", None, 2)


def test_what_was_blocked_lowers_the_level() -> None:
    """Expected failures below the pipeline leave it unjudged: the level is that of what was judged."""
    methods = ("selector", "aggregator", "pipeline")
    blocked = certificate(
        methods, aggregation__ignores_dropped_tokens="xfailed", gradient__matches_closed_form="blocked"
    )

    assert certificate(methods).level == "pipeline"
    assert blocked.level == "selection, with 1 expected failure"


def test_one_method_without_its_core_does_not_hide_another() -> None:
    """A pooling that was measured is certified in part beside a selector that nobody saw at work."""
    part = certificate(("selector", "aggregator"), decision__forward_is_hard="skipped")

    assert (part.verdict, part.level) == ("certified", None)


def test_asked_for_some_laws_only() -> None:
    """Who asks for one law is told what became of it; a core is owed by a whole run."""
    asked = Certificate(
        {"name": "mine", "methods": ["selector"]},
        {"laws": ["errors"], "shard": None},
        (LawResult("errors.keep_of_zero", "SHOULD", "passed", examples=1),),
    )

    assert (asked.verdict, asked.level) == ("certified", None)


@pytest.mark.parametrize(("classes", "verdict"), [(("N is 9",), "refused"), ((), "error")])
def test_what_raises_where_it_had_answered_is_refused(classes: tuple[str, ...], verdict: str) -> None:
    """It can be called, so it is wrong; of what never answered nothing is known."""
    failure = Failure("selector raised IndexError: index out of range", case=CASE, script="", raised="IndexError")
    law = LawResult("shape.follows_inputs", "MUST", "error", examples=9, classes=classes, failure=failure)

    assert Certificate({"name": "mine", "methods": ["selector"]}, WHOLE, (law,)).verdict == verdict
