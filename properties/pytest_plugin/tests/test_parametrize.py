"""`parametrize_with_laws` in somebody else's test file."""

from pathlib import Path

import pytest

from sdtps_ref.properties.kit.law import select_laws

pytest_plugins = ["pytester"]

# In one process with a run that has these modules already, pytest warns that it cannot rewrite their assertions.
QUIET = ("-W", "ignore::pytest.PytestAssertRewriteWarning")

FILE = """
from sdtps_ref.properties import parametrize_with_laws
from sdtps_ref.properties.selftest.planted.baseline import Plain

class Mine(Plain):
    name = "mine"

class Detached(Plain):
    name = "detached"
    def wire(self, selection, aggregate):
        return aggregate(selection.selected_tokens, selection.selected_decision.detach())

class SelectorOnly:
    name = "selector"
    selector = Mine().selector

@parametrize_with_laws([Mine(), Detached(), SelectorOnly()], laws=["gradient.matches_closed_form"])
def test_sdtps(implementation, law):
    law(implementation)
"""


@pytest.mark.slow
def test_one_law_is_one_test(pytester: pytest.Pytester) -> None:
    """A right one passes, a wrong one fails in the law that is broken, what rests on it is skipped and says so."""
    pytester.makepyfile(FILE)

    done = pytester.runpytest_inprocess("-rs", "-p", "no:cacheprovider", *QUIET)

    done.stdout.fnmatch_lines(["*test_sdtps[[]detached-gradient.reaches_score[]]*"])
    done.stdout.fnmatch_lines(["*gradient of pooled tokens to score is zero everywhere*"])
    done.stdout.fnmatch_lines(["*blocked: rests on gradient.reaches_score*"])
    done.stdout.fnmatch_lines(["*needs pipeline, which the implementation lacks*"])
    assert done.parseoutcomes()["failed"] == 1


@pytest.mark.slow
def test_works_without_this_tree(pytester: pytest.Pytester, tmp_path: Path) -> None:
    """Nothing but the import is needed: no plugin, no conftest, and strict markers are fine."""
    pytester.makepyfile(
        FILE.replace("Detached(), ", "").replace("gradient.matches_closed_form", "decision.keeps_top_k")
    )

    done = pytester.runpytest_subprocess("--strict-markers", "-p", "no:cacheprovider")

    assert done.ret == 0


EXPECTING = """
from sdtps_ref.properties import parametrize_with_laws
from sdtps_ref.properties.certificates.expected import ExpectedFailure
from sdtps_ref.properties.selftest.planted.baseline import Plain

class Hard(Plain):
    name = "hard"
    def join(self, hard, soft):
        return hard

def right(match):
    return parametrize_with_laws(
        [Hard()], laws=["gradient.reaches_score"], expected_failures={
            "gradient.reaches_score": ExpectedFailure("frozen", match=match), "shape.follows_inputs": "thought so"
        }
    )

@right("never trained")
def test_as_expected(implementation, law):
    law(implementation)

@right("NaN")
def test_otherwise(implementation, law):
    law(implementation)
"""


def test_expected_failures_are_strict_xfails(pytester: pytest.Pytester) -> None:
    """xfail with the reason where it fails as expected; failed where it fails otherwise, or passes."""
    pytester.makepyfile(EXPECTING)

    done = pytester.runpytest_inprocess("-rx", "-p", "no:cacheprovider", *QUIET)

    done.stdout.fnmatch_lines(["*expected to fail with 'NaN' (frozen), but fails otherwise"])
    done.stdout.fnmatch_lines(["*[[]XPASS(strict)] thought so"])
    done.stdout.fnmatch_lines(["XFAIL *test_as_expected[[]hard-gradient.reaches_score] - frozen"])
    others = len(select_laws(["gradient.reaches_score"])) - 2  # what it rests on, but for the one expected to fail
    assert done.parseoutcomes() == {"xfailed": 1, "failed": 3, "passed": 2 * others}
