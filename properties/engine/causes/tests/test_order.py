"""Which cause is told first: what refuses, before what warns; what spoils readings, before what it spoils."""

from dataclasses import replace
from typing import Any

import pytest

from sdtps_ref.properties.certificates.certificate import Failure, LawResult
from sdtps_ref.properties.engine.causes import causes_of
from sdtps_ref.properties.engine.causes.hypothesis import Hypothesis, Readings
from sdtps_ref.properties.engine.causes.inference import explanations
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.law import all_laws

CASE = Case(batch=2, num_tokens=6, keep=3, dim=8, slots=2)
ENDLESS = "it did not finish within 15 s, in forward (pick.py, line 3)"
KILLED = "the process ended with exit status 7"
SILENT = "only 9 of 31 cases said something, at least 10 must"


def failed(law_id: str) -> LawResult:
    """A law that failed."""
    law = all_laws()[law_id]
    return LawResult(law_id, law.level, "failed", failure=Failure("is wrong", CASE, script=""))


def no_end(law_id: str, reason: str) -> LawResult:
    """A law that was not judged to its end."""
    return LawResult(law_id, all_laws()[law_id].level, "error", reason=reason)


def hypothesis(kind: str, *breaks: str, **attributes: Any) -> Hypothesis:
    """One that always holds."""
    return Hypothesis(kind, kind, lambda readings: True, breaks, **attributes)


def kinds(*results: LawResult, **readings: Any) -> list[str]:
    """The causes' kinds, the first first."""
    read = {name.replace("_", ".", 1): value for name, value in readings.items()}
    return [cause.kind for cause in causes_of(results, read)]


def test_what_warns_explains_nothing_that_refuses() -> None:
    """A K of 0 that is let through is no cause of a wrong selection at large N, nor is it told before it."""
    laws = failed("errors.keep_of_zero"), failed("sizes.selection_is_exact")

    assert kinds(*laws, keep_of_zero=0) == ["sizes.selection_is_exact", "keep.unchecked"]


def test_what_warns_comes_after_what_refuses_whatever_it_does() -> None:
    """A finding that only warns is not told first because its words are of training."""
    loud, plain = failed("call.choice_is_trained"), failed("shape.follows_inputs")

    assert kinds(replace(loud, level="SHOULD"), plain) == ["shape.follows_inputs", "call.choice_is_trained"]


@pytest.mark.parametrize("reason", [ENDLESS, KILLED, SILENT])
def test_what_came_to_no_end_is_told_without_a_remedy(reason: str) -> None:
    """A law that was not judged to its end claims nothing: what is told is that, and nothing mends it."""
    (cause,) = causes_of([no_end("gradient.well_conditioned", reason)], {"mask.form": "before the softmax"})

    assert reason in cause.sentence
    assert (cause.fix, cause.training) == ("", "")


@pytest.mark.parametrize("reason", [ENDLESS, KILLED, SILENT])
def test_what_came_to_no_end_comes_after_what_failed(reason: str) -> None:
    """Where another law was seen broken, that is the cause."""
    laws = no_end("gradient.reaches_score", reason), failed("aggregation.is_convex")

    assert kinds(*laws, mask_form="none") == ["aggregation.is_convex", "gradient.reaches_score"]


def test_a_must_whose_process_ended_comes_before_what_warns() -> None:
    """The certificate is refused because of it."""
    laws = failed("errors.keep_of_zero"), no_end("sizes.selection_is_exact", KILLED)

    assert kinds(*laws, keep_of_zero=0) == ["sizes.selection_is_exact", "keep.unchecked"]


def test_a_root_goes_before_what_it_spoils() -> None:
    """Whatever is read of a tensor that was written to is read of something else than was passed."""
    laws = [
        failed(law) for law in ("shape.follows_inputs", "selection.gathers_kept_tokens", "runtime.inputs_untouched")
    ]
    readings = {
        "keep_asked": [4],
        "keep_gathered": [4],
        "keep_marked": [[0]],
        "decision_values": "hard",
        "inputs_written": ["selector, with gradients"],
    }

    first, *_ = kinds(*laws, **readings)

    assert first == "inputs.written"


def test_a_root_explains_first() -> None:
    """It is asked before the one that breaks more of the failed laws directly."""
    wide, root = hypothesis("wide", "a.*"), hypothesis("root", "a.x", disturbs=("a.*",), root=True)

    (found,) = explanations(Readings({}, dict.fromkeys(("a.x", "a.y", "a.z"), "")), (wide, root))

    assert (found.hypothesis.kind, len(found.laws)) == ("root", 3)
