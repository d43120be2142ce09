"""A quick run ends within its minute, whatever hangs, dies or eats memory in it."""

import re
import time
from pathlib import Path

import pytest

from sdtps_ref.__main__ import main
from sdtps_ref.properties.certificates.certificate import Certificate, Failure, LawResult
from sdtps_ref.properties.certificates.level import NOT_RUN, OUT_OF_TIME
from sdtps_ref.properties.engine.budget import MEMORY, Budget
from sdtps_ref.properties.engine.isolation.child import SubprocessRunner
from sdtps_ref.properties.engine.isolation.subject import Named
from sdtps_ref.properties.engine.settings import PROFILES, Limits, RunSettings
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.law import all_laws

LAW = all_laws()["decision.forward_is_hard"]
CASE = Case(batch=1, num_tokens=4, keep=2, dim=8, slots=2)


def lost(said: str, seconds: float = 1.0) -> LawResult:
    """A law at which the process was lost."""
    return LawResult(LAW.id, LAW.level, "error", reason=said, seconds=seconds, failure=Failure(said, CASE, ""))


@pytest.mark.parametrize(
    "said", [f"it {OUT_OF_TIME} 20 s, in choose (mine.py, line 3)", f"{MEMORY} (4 GiB; --memory-limit)"]
)
def test_two_are_enough(said: str) -> None:
    """After two laws that hung or hit the memory limit nothing more is run, and the reason says so."""
    budget = Budget()

    budget.take(lost(said))
    after_one = budget.refused(LAW)
    budget.take(lost(said))
    after_two = budget.refused(LAW)

    assert after_one is None
    assert after_two is not None
    assert (after_two.status, after_two.reason.startswith(f"{NOT_RUN}2 laws")) == ("skipped", True)


def test_time_in_the_implementation_counts_and_time_beside_it_does_not() -> None:
    """A slow implementation uses its run up; a slow machine, or several laws at once, do not."""
    now = [0.0]
    slow, busy, several = (Budget(45, lambda: now[0]) for _ in range(3))
    now[0] = 50.0

    slow.take(LawResult(LAW.id, LAW.level, "passed", seconds=50, seconds_inside=48))
    busy.take(LawResult(LAW.id, LAW.level, "passed", seconds=50, seconds_inside=20))
    now[0] = 30.0
    several.take(LawResult(LAW.id, LAW.level, "passed", seconds=50, seconds_inside=48))

    assert several.refused(LAW) is None
    assert several.within(20) == 15
    now[0] = 50.0
    assert slow.refused(LAW).reason.startswith(NOT_RUN)
    assert busy.refused(LAW) is None


def test_a_must_that_was_not_run_is_no_certificate() -> None:
    """Nothing is certified of which a MUST had no time: exit 2, as for all that could not be run."""
    laws = tuple(
        LawResult(law_id, law.level, "skipped", reason=f"{NOT_RUN}the time is over")
        if law_id == "runtime.has_no_state"
        else LawResult(law_id, law.level, "passed", examples=9)
        for law_id, law in all_laws().items()
    )

    certificate = Certificate({"methods": ["selector"]}, {"laws": "all", "shard": None}, laws)

    assert (certificate.verdict, certificate.exit_status, certificate.level) == ("error", 2, None)


@pytest.mark.slow
def test_a_law_that_the_run_had_no_time_for_is_not_accused(tmp_path: Path) -> None:
    """Cut short by the end of the run, and not by its own limit, it is not run, which refuses nobody."""
    (tmp_path / "subject_in_time.py").write_text(SUBJECT.format(order="time.sleep(1)"))
    target = f"{tmp_path / 'subject_in_time.py'}:Mine"
    settings = RunSettings(PROFILES["quick"], target=target)
    child = SubprocessRunner(Named(target), settings, Limits(60.0), budget=Budget(100))
    child.budget.whole, child.budget.spent, child.budget.started = 2.0, 0.0, time.monotonic()

    result = child.tried(LAW)
    child.close()

    assert result.status == "skipped"
    assert result.reason.startswith(NOT_RUN)


SUBJECT = """
import time
import torch
from sdtps_ref.properties.selftest.planted.baseline import Plain

KEPT = []

class Mine(Plain):
    def choose(self, score, noise, keep):
        {order}
        return super().choose(score, noise, keep)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("order", "said"),
    [
        ("time.sleep(1e6)", "not run: 2 laws hung"),
        ("KEPT.extend(torch.ones(2**27) for _ in range(99))", "not run: 2 laws (hung|ran into the memory limit)"),
    ],
)
def test_a_run_that_cannot_get_anywhere_ends(
    order: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After two laws that hang or eat memory no other is tried, and what happened is told for those two."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "subject_without_end.py").write_text(SUBJECT.format(order=order))

    status = main(["certify", "subject_without_end.py:Mine", "--json", "out.json"])

    printed = capsys.readouterr().out
    assert status in (1, 2)
    assert re.search(said, printed)
    assert printed.count(f"  {MEMORY}") <= 1
