"""One law on one implementation: what is counted, and which failure is shown."""

import pytest

from sdtps_ref.properties.engine.law_run import LawRun
from sdtps_ref.properties.engine.settings import PROFILES
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.law import all_laws
from sdtps_ref.properties.selftest.planted.baseline import FAULTS, Plain, plant_all

plant_all()


@pytest.mark.parametrize("name", ["SoftMaskOfSumK", "NoParentheses", "TokensDetached"])
def test_a_failure_among_packed_examples_is_shown_on_one(name: str) -> None:
    """As small as if they had never been packed."""
    law = all_laws()[FAULTS[name].expected_law]
    packed, alone = LawRun(law, FAULTS[name]()), LawRun(law, FAULTS[name]())

    packed.run(PROFILES["quick"], 0, "cpu", per_call=4)
    alone.run(PROFILES["quick"], 0, "cpu")

    assert packed.fault is not None and alone.fault is not None
    assert packed.fault[1].case == alone.fault[1].case
    assert packed.fault[1].case.packed == ()


def test_packed_examples_count_and_are_judged_in_fewer_calls() -> None:
    """At least as many examples in less than two thirds of the cases."""
    law, cases = all_laws()["decision.forward_is_hard"], {1: list[Case](), 4: list[Case]()}
    trials = {per_call: LawRun(law, Plain(), watch=seen.append) for per_call, seen in cases.items()}

    for per_call, trial in trials.items():
        trial.run(PROFILES["ci"], 0, "cpu", per_call=per_call)

    assert trials[4].executed >= 0.8 * trials[1].executed
    assert len(cases[4]) < 2 / 3 * len(cases[1])
    assert sum(len(case.examples) for case in cases[4]) == trials[4].executed
