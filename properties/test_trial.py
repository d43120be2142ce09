"""One law on one implementation: what is counted, and which failure is shown."""

import pytest

from sdtps_ref.properties.case import Case
from sdtps_ref.properties.law import all_laws
from sdtps_ref.properties.planted.plain import FAULTS, Plain, plant_all
from sdtps_ref.properties.terms import PROFILES
from sdtps_ref.properties.trial import Trial

plant_all()


@pytest.mark.parametrize("name", ["SoftMaskOfSumK", "NoParentheses", "TokensDetached"])
def test_a_failure_among_packed_examples_is_shown_on_one(name: str) -> None:
    """As small as if they had never been packed."""
    law = all_laws()[FAULTS[name].kills]
    packed, alone = Trial(law, FAULTS[name]()), Trial(law, FAULTS[name]())

    packed.run(PROFILES["quick"], 0, "cpu", pack=4)
    alone.run(PROFILES["quick"], 0, "cpu")

    assert packed.fault is not None and alone.fault is not None
    assert packed.fault[1].case == alone.fault[1].case
    assert packed.fault[1].case.packed == ()


def test_packed_examples_count_and_are_judged_in_fewer_calls() -> None:
    """At least as many examples in less than two thirds of the cases."""
    law, cases = all_laws()["decision.forward_is_hard"], {1: list[Case](), 4: list[Case]()}
    trials = {pack: Trial(law, Plain(), watch=seen.append) for pack, seen in cases.items()}

    for pack, trial in trials.items():
        trial.run(PROFILES["ci"], 0, "cpu", pack=pack)

    assert trials[4].executed >= 0.8 * trials[1].executed
    assert len(cases[4]) < 2 / 3 * len(cases[1])
    assert sum(len(case.examples) for case in cases[4]) == trials[4].executed
