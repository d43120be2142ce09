"""The laws on what was planted: each fault is refused by the law that names it, each right one is certified."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import pytest
import torch

from sdtps_ref.properties.certificates.certificate import Certificate
from sdtps_ref.properties.contract import METHODS
from sdtps_ref.properties.kit.law import all_laws
from sdtps_ref.properties.selftest.planted.baseline import FAULTS, Plain, plant_all
from sdtps_ref.properties.selftest.script_check import script_complaints
from sdtps_ref.properties.selftest.selftest import (
    STRANGERS,
    complaints,
    eager_faults,
    judge_planted,
    killers,
    right_names,
)

plant_all()

# Each of a stage of its own; the others have the marker `slow`.
EVERYDAY = (
    "NoParentheses",
    "KeepsAtLeastOne",
    "HardOnly",
    "OutputBufferReused",
    "NoiseInEval",
    "RunningMeanOfTheScores",
    "FlatIndices",
    "KeepsOneMore",
    "KeepsThePositive",
)


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Who judges what is planted takes one thread for the rest of the process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@cache
def certificate_of(fault: str) -> Certificate:
    """The fault, judged once: by the law that names it and what that rests on."""
    return judge_planted(fault, whole=False)


# What compiles or starts processes takes minutes in all: `sdtps selftest` holds those faults to their laws.
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in EVERYDAY else pytest.mark.slow) for name in eager_faults()]
)
def test_fault_is_killed(name: str) -> None:
    """The law that a fault names fails on it, by a script that reproduces the failure, and not on right code."""
    certificate = certificate_of(name)

    assert FAULTS[name].expected_law in killers(certificate)
    assert script_complaints({name: certificate}) == []


def test_everyday_faults_are_of_different_stages() -> None:
    """What a few seconds show is spread over the laws."""
    assert len({FAULTS[name].expected_law.partition(".")[0] for name in EVERYDAY}) == len(EVERYDAY)


@pytest.mark.parametrize(
    ("spoiled", "says"),
    [
        (("right = bool(", "right = bool(True or "), "does not reproduce its failure"),
        (("right = bool(", "right = bool(False and "), "does not say 'not reproduced' of the code without the fault"),
    ],
)
def test_a_script_that_lies_is_seen(spoiled: tuple[str, str], says: str) -> None:
    """A script that always says the same, whatever it is run on, is complained of."""
    certificate = certificate_of("NoParentheses")
    laws = [
        replace(result, failure=replace(result.failure, script=result.failure.script.replace(*spoiled)))
        if result.failure
        else result
        for result in certificate.laws
    ]

    (complaint,) = script_complaints({"NoParentheses": replace(certificate, laws=tuple(laws))})

    assert complaint == f"NoParentheses: the script of decision.forward_is_hard {says}"


# Strangers, which are judged by one call, have tests of their own.
@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in right_names() if name not in STRANGERS])
def test_right_one_is_certified(name: str) -> None:
    """No right implementation is refused."""
    certificate = judge_planted(name, whole=False)

    assert certificate.verdict == "certified", [result.id for result in certificate.laws if result.refuses]


def test_every_law_has_a_fault() -> None:
    """A law that no fault names is a law that nobody has seen bite."""
    named = {planted.expected_law for planted in FAULTS.values()}

    assert named == set(all_laws())


def test_complaints_are_made() -> None:
    """The selftest fails on a survivor, on an idle law and on a right one refused."""
    accused = certificate_of("HardOnly")
    untouched = replace(accused, laws=tuple(replace(law, status="passed", failure=None) for law in accused.laws))

    said = "\n".join(complaints({"HardOnly": untouched}, {"plain": accused}))

    assert "HardOnly survived gradient.reaches_score" in said
    assert "decision.keeps_top_k is named by no fault" in said
    assert "plain is right, but refused by gradient.reaches_score" in said


def test_faults_differ_from_plain_in_one_step() -> None:
    """A fault is a small change: it overrides few steps of the plain implementation."""
    for name, planted in FAULTS.items():
        steps = {step for step in vars(planted) if callable(vars(planted)[step]) and hasattr(Plain, step)}
        factories = steps & set(METHODS)  # several of them may have to hand over one and the same change
        assert len(steps - factories) + bool(factories) <= 2, name
