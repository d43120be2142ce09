"""From failures and readings to causes: the explanation that accounts for most, and none where nothing fits."""

import json
from dataclasses import replace
from typing import Any

import pytest

from sdtps_ref.properties.certificates.certificate import Failure, LawResult
from sdtps_ref.properties.engine.causes import causes_of
from sdtps_ref.properties.engine.causes.examination import examined
from sdtps_ref.properties.engine.causes.hypotheses import ALL
from sdtps_ref.properties.engine.causes.hypothesis import Hypothesis, Readings
from sdtps_ref.properties.engine.causes.inference import explanations
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.law import all_laws
from sdtps_ref.properties.selftest.planted.baseline import FAULTS, Plain, plant_all

METHODS = ("selector", "aggregator", "pipeline", "multimodal", "model")
CASE = Case(batch=2, num_tokens=6, keep=3, dim=8, slots=2)

plant_all()


def failed(law_id: str, message: str = "is wrong") -> LawResult:
    """A law that failed."""
    law = all_laws()[law_id]
    return LawResult(law_id, law.level, "failed", failure=Failure(message, CASE, script=""))


def hypothesis(kind: str, *breaks: str, **attributes: Any) -> Hypothesis:
    """One that always holds."""
    return Hypothesis(kind, kind, lambda readings: True, breaks, **attributes)


def test_nothing_failed() -> None:
    """Where nothing failed there is no cause, whatever was read."""
    assert causes_of([], {"soft_mask.form": "none"}) == ()


def test_without_readings_every_failure_stands_for_itself() -> None:
    """A failure that no reading explains is told in the words of its law."""
    (cause,) = causes_of([failed("noise.is_gumbel", "the noise looks odd")])

    assert (cause.kind, cause.sentence, cause.explains) == (
        "noise.is_gumbel",
        "the noise looks odd",
        ("noise.is_gumbel",),
    )
    assert cause.fix


def test_a_reading_that_fits_nothing_is_no_cause() -> None:
    """Readings of a right implementation accuse nobody: the failure keeps its own words."""
    readings = examined(Plain(), METHODS, ["gradient.reaches_score"])

    (cause,) = causes_of([failed("gradient.reaches_score")], readings)

    assert cause.kind == "gradient.reaches_score"


def test_one_cause_for_several_failures() -> None:
    """What several laws see of one fault is told once, with the laws that it explains."""
    ids = ("gradient.well_conditioned", "gradient.is_finite_in_float16", "errors.fully_masked_row")
    readings = {"mask.form": "before the softmax", "mask.gain": 1e10}

    (cause,) = causes_of([failed(law_id) for law_id in ids], readings)

    assert (cause.kind, cause.training, set(cause.explains)) == ("mask.gain", "gain 1e+10", set(ids))


def test_what_remains_is_told_after() -> None:
    """A failure that the first explanation does not account for is a cause of its own."""
    readings = {"mask.form": "before the softmax", "mask.gain": 1e10}

    causes = causes_of([failed("errors.nan_scores"), failed("gradient.well_conditioned")], readings)

    assert [cause.kind for cause in causes] == ["mask.gain", "errors.nan_scores"]


def test_what_ruins_training_comes_first() -> None:
    """Causes are in the order of what they do to training, not of the laws."""
    laws = [failed("errors.keep_of_zero"), failed("noise.is_absent_in_eval"), failed("gradient.reaches_score")]
    readings = {
        "keep.of_zero": 0,
        "noise.in_eval": True,
        "noise.in_training": True,
        "soft_mask.form": "softmax",
        "mask.form": "none",
    }

    causes = causes_of(laws, readings)

    assert [cause.kind for cause in causes] == ["mask.boolean", "noise.in_eval", "keep.unchecked"]


def test_one_of_two() -> None:
    """Two that explain the same and are as specific are both told."""
    pair = (hypothesis("first", "a.x"), hypothesis("second", "a.x"), hypothesis("coarse", "a.x", specific=1))

    (found,) = explanations(Readings({}, {"a.x": ""}), pair)

    assert (found.hypothesis.kind, found.alternative and found.alternative.kind) == ("first", "second")


def test_the_one_that_explains_more_comes_first() -> None:
    """One fault for three failures goes before two faults for them."""
    three = (hypothesis("narrow", "a.x", specific=4), hypothesis("wide", "a.*"))

    (found,) = explanations(Readings({}, {"a.x": "", "a.y": "", "a.z": ""}), three)

    assert (found.hypothesis.kind, found.laws) == ("wide", ("a.x", "a.y", "a.z"))


def test_two_faults_are_both_told() -> None:
    """What lies in the wake of one explanation is not hidden by it where another is read for sure."""
    first = hypothesis("first", "a.x", disturbs=("b.*",), specific=4)
    sure, vague = hypothesis("sure", "b.y", specific=3), hypothesis("vague", "b.z")

    found = explanations(Readings({}, {"a.x": "", "b.y": "", "b.z": ""}), (first, sure, vague))

    assert [(each.hypothesis.kind, each.laws) for each in found] == [("first", ("a.x", "b.z")), ("sure", ("b.y",))]


def test_findings_of_a_call_are_causes_already() -> None:
    """What a law finds in the user's own call is told with its line's words, and needs no examination."""
    (cause,) = causes_of(
        [
            failed("call.keeps_the_highest"),
        ],
        {},
    )

    assert (cause.kind, cause.training) == ("call.keeps_the_highest", "it is trained backwards")
    assert examined(Plain(), METHODS, ["call.keeps_the_highest"]) == {}


@pytest.mark.parametrize(
    ("name", "law_id", "kind"),
    [
        ("TemperatureMultiplied", "decision.backward_is_softmax", "temperature.multiplied"),
        ("DecisionDetached", "gradient.reaches_score", "decision.detached"),
        ("DecisionNotPassedOn", "gradient.reaches_score", "decision.not_handed_on"),
        ("HardOnly", "gradient.reaches_score", "soft_mask.missing"),
        ("KeepsLowest", "decision.keeps_top_k", "ranking.ascending"),
        ("WeakMask", "aggregation.ignores_dropped_tokens", "mask.weak"),
        ("NoiseSharedAcrossRows", "noise.is_independent", "noise.shared_over_samples"),
        ("MaskCachedByShape", "runtime.has_no_state", "state.cached"),
        ("DecisionOfTheLastModality", "multimodal.decision_reaches_own_aggregator", "modalities.crossed_decision"),
        ("FeatureIgnored", "training.everything_is_trained", "model.input_ignored"),
    ],
)
def test_a_planted_cause_is_found(name: str, law_id: str, kind: str) -> None:
    """The same failure has other causes in other implementations, and each is told by what was read of it."""
    readings = examined(FAULTS[name](), METHODS, [law_id])

    first, *_ = causes_of([failed(law_id)], readings)

    assert first.kind == kind


def test_whatever_is_raised_is_a_reading() -> None:
    """An implementation that raises everywhere is examined all the same, and its failure keeps its own words."""

    class Raises(Plain):
        def select(self, *arguments: Any, **named: Any) -> Any:
            raise RuntimeError("no")

    readings = examined(Raises(), METHODS, ["shape.follows_inputs"])
    (cause,) = causes_of([replace(failed("shape.follows_inputs"), status="error")], readings)

    assert readings["raised.soft_mask.form"] == "RuntimeError: no"
    assert cause.kind == "shape.follows_inputs"


def test_readings_are_plain() -> None:
    """What is read crosses the boundary of a process as JSON, whatever failed."""
    failed_somewhere = [f"{stage}.x" for stage in ("runtime", "noise", "multimodal", "training")]

    readings = examined(Plain(), METHODS, failed_somewhere)

    assert json.loads(json.dumps(readings)) == readings
    assert [name for name in readings if name.startswith("raised")] == []


def test_hypotheses_have_names_of_their_own() -> None:
    """No two share a kind, and each says what it does and what mends it."""
    kinds = [each.kind for each in ALL]

    assert len(set(kinds)) == len(kinds)
    assert [each.kind for each in ALL if not (each.effect and each.fix)] == []


def test_hypotheses_name_laws_that_exist() -> None:
    """A pattern that no law matches is a mistake, or the id of a law that is gone."""
    known = dict.fromkeys(all_laws(), "")

    idle = [each.kind for each in ALL if not each.explained(known)[0]]

    assert idle == []
