"""The pytest plugin in somebody else's folder: ids, choices, expected failures, workers, and who does not use it."""

import xml.etree.ElementTree as ElementTree

import pytest

from sdtps_ref.properties.kit.law import all_laws

pytest_plugins = ["pytester"]

# In one process with a run that has these modules already, pytest warns that it cannot rewrite their assertions.
QUIET = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
PLUGIN = ("-p", "sdtps_ref.properties.pytest_plugin.plugin", "-p", "no:cacheprovider", "--strict-markers", *QUIET)
MINE = """
from sdtps_ref.properties.selftest.planted.baseline import Plain

class Mine(Plain):
    name = "mine"

class Hard(Plain):
    def join(self, hard, soft):
        return hard
"""
OWN = "def test_own():\n    pass\n"
EXPECTED = """
[[expected]]
law = "gradient.reaches_score"
reason = "frozen"
link = "https://example.org/1"
match = "{match}"
"""


@pytest.fixture
def folder(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder with implementations and a test of its own."""
    pytester.makepyfile(mine=MINE, test_own=OWN)
    return pytester


def laws(folder: pytest.Pytester, target: str, *arguments: str) -> pytest.RunResult:
    """One run of pytest on a target, in this process."""
    return folder.runpytest_inprocess(*PLUGIN, "--sdtps-target", target, *arguments)


def test_every_law_is_one_test_beside_the_folders_own(folder: pytest.Pytester) -> None:
    """One id a law, after the tests that are there anyway; all are counted."""
    done = laws(folder, "mine.py:Mine", "--collect-only", "-q")

    assert done.outlines[:1] == ["test_own.py::test_own"]
    assert [line for line in done.outlines if "::mine" in line] == [f"sdtps::mine.py:Mine::{law}" for law in all_laws()]
    done.stdout.fnmatch_lines([f"{len(all_laws()) + 1} tests collected*"])
    assert done.ret == 0


def test_a_broken_law_fails_and_says_why_without_our_traceback(folder: pytest.Pytester) -> None:
    """The law's message, case and script; what rests on it is skipped; what it rests on is judged though not chosen."""
    done = laws(folder, "mine.py:Hard", "-k", "gradient.reaches_score or well_conditioned", "--junitxml", "junit.xml")

    (failure,) = ElementTree.parse(folder.path / "junit.xml").iterfind(".//failure")
    done.stdout.fnmatch_lines(["*__ gradient.reaches_score (mine.py:Hard) __*", "*the score is never trained*"])
    done.stdout.fnmatch_lines(["FAILED sdtps::mine.py:Hard::gradient.reaches_score - gradient of decision*"])
    assert "Traceback" not in done.stdout.str() and "pytest_laws.py" not in done.stdout.str()
    assert "from mine import Hard" in (failure.text or "")
    assert done.parseoutcomes() == {"failed": 1, "skipped": 1, "deselected": len(all_laws()) - 1}


def test_the_first_failure_stops_where_asked_to(folder: pytest.Pytester) -> None:
    """-x ends the run at the first law that is broken."""
    done = laws(folder, "mine.py:Hard", "-x", "-k", "gradient.reaches_score or well_conditioned")

    assert done.parseoutcomes()["failed"] == 1
    assert "skipped" not in done.parseoutcomes()


@pytest.mark.parametrize(
    ("chosen", "count"),
    [
        (("sdtps::mine.py:Mine::errors.keep_of_zero",), 1),
        (("sdtps::mine.py:Mine::errors.keep_of_zero", "test_own.py"), 2),
        (("sdtps::mine.py:Mine",), len(all_laws())),
        (("sdtps::",), len(all_laws())),
        (("sdtps::", "-k", "keep_of_zero"), 1),
        (("-k", "sdtps and keep_of_zero"), 1),
        (("test_own.py", "--deselect", "sdtps::mine.py:Mine"), 1),
    ],
)
def test_laws_are_chosen_as_tests_are(folder: pytest.Pytester, chosen: tuple[str, ...], count: int) -> None:
    """By the ids that pytest prints, by keyword, and not at all."""
    done = laws(folder, "mine.py:Mine", "--collect-only", "-q", *chosen)

    assert len([line for line in done.outlines if "::" in line]) == count
    assert done.ret == 0


@pytest.mark.parametrize(
    ("target", "match", "outcome", "says"),
    [
        ("mine.py:Hard", "never trained", "xfailed", "XFAIL *reaches_score - frozen (https://example.org/1)"),
        pytest.param(
            "mine.py:Hard",
            "NaN",
            "failed",
            "*expected to fail with 'NaN' (frozen), but fails otherwise",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "mine.py:Mine",
            "never trained",
            "failed",
            "*[[]XPASS(strict)] frozen (https://example.org/1)",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_expected_failures_are_strict(
    folder: pytest.Pytester, target: str, match: str, outcome: str, says: str
) -> None:
    """xfail with its reason where the law fails as expected; a failure where it fails otherwise, or passes."""
    (folder.path / "expected.toml").write_text(EXPECTED.format(match=match))

    done = laws(folder, target, "--sdtps-expected", "expected.toml", f"sdtps::{target}::gradient.reaches_score", "-rx")

    done.stdout.fnmatch_lines([says])
    assert done.parseoutcomes() == {outcome: 1}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--sdtps-target", "yours.py:Mine"), "there is no file yours.py"),
        (("--sdtps-target", "mine.py:Yours"), "mine.py has no attribute 'Yours'; it offers Mine, Hard"),
        (("--sdtps-target", "mine.py:Mine", "--sdtps-profile", "fast"), "given profile='fast'; accepted: quick, ci"),
        (("--sdtps-target", "mine.py:Mine", "--sdtps-expected", "no.toml"), "given no.toml (No such file"),
        (("--sdtps-target", "mine.py:Mine", "sdtps::mine.py:Mine::errors"), "accepted: sdtps::mine.py:Mine::LAW"),
        (("--sdtps-profile", "ci"), "given --sdtps-profile without --sdtps-target; accepted: both, or neither"),
        (("--sdtps-expected", "x"), "given --sdtps-expected without --sdtps-target; accepted: both, or neither"),
    ],
)
def test_what_cannot_run_is_a_usage_error_in_one_line(
    folder: pytest.Pytester, arguments: tuple[str, ...], says: str
) -> None:
    """Exit status 4, no traceback, nothing collected."""
    done = folder.runpytest_inprocess(*PLUGIN, *arguments)

    errors = [line for line in done.errlines if line]
    assert len(errors) == 1
    assert errors[0].startswith(f"ERROR: {says}") or says in errors[0]
    assert done.ret == pytest.ExitCode.USAGE_ERROR


@pytest.mark.slow
def test_workers_agree_and_judge_what_a_law_rests_on(folder: pytest.Pytester) -> None:
    """With pytest-xdist every worker collects the same ids; a law whose foundation another one has is judged right."""
    pytest.importorskip("xdist")
    ids = [f"sdtps::mine.py:Hard::{law}" for law in ("gradient.reaches_score", "gradient.well_conditioned")]

    done = folder.runpytest_subprocess(*PLUGIN, "-n", "2", "--sdtps-target", "mine.py:Hard", *ids)

    done.stdout.fnmatch_lines(["2 workers [[]2 items]"])
    assert done.parseoutcomes() == {"failed": 1, "skipped": 1}


def test_who_does_not_use_it_notices_nothing(pytester: pytest.Pytester) -> None:
    """Loaded into a run without its options, it imports no torch, adds no fixture and no test."""
    pytester.makepyfile(
        """
        import sys

        def test_own(request):
            assert {"torch", "hypothesis.core", "sdtps_ref.properties.kit.law"}.isdisjoint(sys.modules)
            assert request.fixturenames == ["request"]
        """
    )

    done = pytester.runpytest_subprocess(*PLUGIN, "-p", "no:hypothesispytest")

    done.assert_outcomes(passed=1)
