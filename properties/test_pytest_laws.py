"""`parametrize_with_laws` in somebody else's test file."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

FILE = """
from sdtps_ref.properties import parametrize_with_laws
from sdtps_ref.properties.planted.plain import Plain

class Mine(Plain):
    name = "mine"

class Detached(Plain):
    name = "detached"
    def wire(self, selection, aggregate):
        return aggregate(selection.selected_tokens, selection.selected_decision.detach())

class SelectorOnly:
    name = "selector"
    selector = Mine().selector

@parametrize_with_laws([Mine(), Detached(), SelectorOnly()], laws=["gradient", "decision.keeps_top_k"])
def test_sdtps(implementation, law):
    law(implementation)
"""


def test_one_law_is_one_test(pytester: pytest.Pytester) -> None:
    """A right one passes, a wrong one fails in the law that is broken, what rests on it is skipped and says so."""
    pytester.makepyfile(FILE)

    done = pytester.runpytest_subprocess("-rs", "-p", "no:cacheprovider")

    done.stdout.fnmatch_lines(["*test_sdtps[[]detached-gradient.reaches_score[]]*"])
    done.stdout.fnmatch_lines(["*gradient of pooled tokens to score is zero everywhere*"])
    done.stdout.fnmatch_lines(["*blocked: rests on gradient.reaches_score*"])
    done.stdout.fnmatch_lines(["*needs pipeline, which the implementation lacks*"])
    assert done.parseoutcomes()["failed"] == 1


def test_works_without_this_tree(pytester: pytest.Pytester, tmp_path: Path) -> None:
    """Nothing but the import is needed: no plugin, no conftest, and strict markers are fine."""
    pytester.makepyfile(FILE.replace("Detached(), ", ""))

    done = pytester.runpytest_subprocess("--strict-markers", "-p", "no:cacheprovider")

    assert done.ret == 0
