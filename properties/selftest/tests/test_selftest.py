"""The laws on what was planted: each fault is refused by the law that names it, each right one is certified."""

from dataclasses import replace

import pytest

from sdtps_ref.properties.certificates.certificate import Certificate
from sdtps_ref.properties.contract import METHODS
from sdtps_ref.properties.kit.law import all_laws
from sdtps_ref.properties.selftest.planted.baseline import FAULTS, Plain, plant_all
from sdtps_ref.properties.selftest.script_check import script_complaints
from sdtps_ref.properties.selftest.selftest import complaints, everyday_faults, kill_matrix, killers

plant_all()


@pytest.fixture(scope="module")
def matrix() -> tuple[dict[str, Certificate], dict[str, Certificate]]:
    """Every planted implementation, judged once: faults by the law that names them, right ones by all."""
    return kill_matrix(whole=False)


# What compiles or starts processes takes minutes in all: `sdtps selftest` holds those faults to their laws.
@pytest.mark.parametrize("name", everyday_faults())
def test_fault_is_killed(name: str, matrix: tuple[dict[str, Certificate], dict[str, Certificate]]) -> None:
    """The law that a fault names fails on it."""
    faults, _ = matrix

    assert FAULTS[name].expected_law in killers(faults[name])


def test_scripts_tell_faults_from_right_code(matrix: tuple[dict[str, Certificate], dict[str, Certificate]]) -> None:
    """Every script reproduces its failure on the fault, and does not on the same code without it."""
    faults, _ = matrix

    assert script_complaints(faults) == []


@pytest.mark.parametrize(
    ("spoiled", "says"),
    [
        (("right = bool(", "right = bool(True or "), "does not reproduce its failure"),
        (("right = bool(", "right = bool(False and "), "does not say 'not reproduced' of the code without the fault"),
    ],
)
def test_a_script_that_lies_is_seen(
    matrix: tuple[dict[str, Certificate], dict[str, Certificate]], spoiled: tuple[str, str], says: str
) -> None:
    """A script that always says the same, whatever it is run on, is complained of."""
    certificate = matrix[0]["NoParentheses"]
    laws = [
        replace(result, failure=replace(result.failure, script=result.failure.script.replace(*spoiled)))
        if result.failure
        else result
        for result in certificate.laws
    ]

    (complaint,) = script_complaints({"NoParentheses": replace(certificate, laws=tuple(laws))})

    assert complaint == f"NoParentheses: the script of decision.forward_is_hard {says}"


def test_right_ones_are_certified(matrix: tuple[dict[str, Certificate], dict[str, Certificate]]) -> None:
    """No right implementation is refused."""
    _, right = matrix

    refused = {name: killers(certificate) for name, certificate in right.items() if certificate.verdict != "certified"}

    assert refused == {}


def test_every_law_has_a_fault() -> None:
    """A law that no fault names is a law that nobody has seen bite."""
    named = {planted.expected_law for planted in FAULTS.values()}

    assert named == set(all_laws())


def test_complaints_are_made(matrix: tuple[dict[str, Certificate], dict[str, Certificate]]) -> None:
    """The selftest fails on a survivor, on an idle law and on a right one refused."""
    faults, right = matrix
    survivor = {"HardOnly": right["plain"]}
    accused = {"plain": faults["HardOnly"]}

    said = "\n".join(complaints(survivor, accused))

    assert "HardOnly survived gradient.reaches_score" in said
    assert "decision.keeps_top_k is named by no fault" in said
    assert "plain is right, but refused by gradient.reaches_score" in said


def test_faults_differ_from_plain_in_one_step() -> None:
    """A fault is a small change: it overrides few steps of the plain implementation."""
    for name, planted in FAULTS.items():
        steps = {step for step in vars(planted) if callable(vars(planted)[step]) and hasattr(Plain, step)}
        factories = steps & set(METHODS)  # several of them may have to hand over one and the same change
        assert len(steps - factories) + bool(factories) <= 2, name
