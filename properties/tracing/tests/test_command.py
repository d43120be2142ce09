"""`sdtps trace`, `sdtps trace report` and `sdtps trace norms`, and the fixture `sdtps_trace`."""

from __future__ import annotations

import json

import pytest

from sdtps_ref.__main__ import main
from sdtps_ref.properties.tracing.run_report import changes
from sdtps_ref.properties.tracing.tests.conftest import MASK

pytest_plugins = ["pytester"]

STEP = """

def step():
    model, run = start()
    run(0)

def loss():
    batch, target = data(0)
    return nn.functional.cross_entropy(Reader()(batch), target)

def raising():
    loss()
    raise KeyError("mine")

def nothing():
    pass

def needs(batch):
    pass

def example():
    return Reader(), (data(0)[0],)
"""


@pytest.fixture
def file(script):
    """A file with steps; of the sick script, or of the right one."""

    def made(*edits):
        from pathlib import Path

        path = Path(script(*edits, name="with_steps").__file__)
        path.write_text(path.read_text() + STEP)
        return path

    return made


@pytest.mark.parametrize("function", ["step", "loss"])
def test_cause_comes_first(file, function, capsys):
    """A function that runs a step, or returns a loss: exit 1, the cause with its line and fix at the top."""
    status = main(["trace", f"{file(MASK)}:{function}"])

    said = capsys.readouterr().out
    assert status == 1
    assert "multiplies the gradient of the score" in said.splitlines()[1]
    assert MASK[1] in said
    assert "Reader" in said


def test_a_healthy_step(file, capsys, tmp_path):
    """Exit 0, and JSON that says the same."""
    status = main(["trace", f"{file()}:step", "--json", str(tmp_path / "t.json"), "--html", str(tmp_path / "t.html")])

    assert status == 0
    assert capsys.readouterr().out.startswith("HEALTHY")
    told = json.loads((tmp_path / "t.json").read_text())
    assert told["format"] == 1 and not told["causes"]
    assert len(told["sites"]) == 1 and told["sites"][0]["times"] == 2
    assert "<title>Reader" in (tmp_path / "t.html").read_text()


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("raising", "KeyError"),
        ("nothing", "no selection was seen"),
        ("needs", "without arguments"),
        ("absent", "has no attribute 'absent'"),
    ],
)
def test_what_cannot_be_run(file, function, said, capsys):
    """Exit 2, and one line that says why."""
    status = main(["trace", f"{file(MASK)}:{function}"])

    assert status == 2
    assert said in capsys.readouterr().err


def test_what_was_seen_before_it_raised(file, capsys):
    """The screen comes all the same."""
    main(["trace", f"{file(MASK)}:raising"])

    assert "ranking" in capsys.readouterr().out


def test_norms_of_the_published_form(capsys):
    """The mask of 1e10 gives more than 1e8 times what log D and no D give."""
    status = main(["trace", "norms", "--size", "B=2,N=32,K=16,C=32,M=4"])

    out = capsys.readouterr().out
    own, log, none = (
        float(cell) for cell in next(line for line in out.splitlines() if line.startswith("all")).split()[1:]
    )
    assert status == 0
    assert own > 1e7 * log
    assert log == pytest.approx(none, rel=0.1)
    assert "4 122 861 332" in out


def test_norms_of_a_module(file, capsys):
    """By part of the model, and what serves the score alone has none without D."""
    status = main(["trace", "norms", f"{file(MASK)}:example"])

    lines = {
        line.split()[0]: line.split()[1:]
        for line in capsys.readouterr().out.splitlines()
        if line[:4] in ("head", "pick")
    }
    assert status == 0
    assert float(lines["pick"][0]) > 1e6 * float(lines["pick"][1])
    assert lines["head"][0] == lines["head"][2]


def test_a_report_names_the_step(tmp_path, script, capsys):
    """A run whose temperature jumps at step 24 is said to have changed there."""
    from sdtps_ref import trace

    model, step = script().start()
    with trace.every(model, steps=2, to=tmp_path / "run.csv"):
        for number in range(48):
            if number == 24:
                for each in model.pick.values():
                    each.tau = 100.0
            step(number)
    status = main(["trace", "report", str(tmp_path / "run.csv"), "--html", str(tmp_path / "run.html")])

    said = capsys.readouterr().out
    assert status == 0
    assert "step 24: entropy" in said
    assert (tmp_path / "run.html").read_text().count("<svg") == 6


def test_no_change_is_no_change():
    """A level series with noise has none; a step of it has one, at its place."""
    level = [(10 * n, 0.5 + 0.02 * ((n * 7919) % 13 - 6) / 6) for n in range(40)]

    assert changes(level, False) == []
    ((step, before, after),) = changes([(n, v + 0.4 * (n >= 200)) for n, v in level], False)
    assert (step, round(before, 1), round(after, 1)) == (200, 0.5, 0.9)


def test_another_file_is_refused(tmp_path, capsys):
    """What columns it has, and which are accepted."""
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")

    assert main(["trace", "report", str(tmp_path / "other.csv")]) == 2
    assert "accepted" in capsys.readouterr().err


def test_fixture(file, pytester: pytest.Pytester):
    """A test of a sick step fails with the screen's words, one of a right step passes, one of nothing fails."""
    sick = file(MASK).rename(pytester.path / "sick.py")
    pytester.makepyfile(
        test_mine=f"""
        import sys
        sys.path.insert(0, {str(sick.parent)!r})
        import sick

        def test_sick(sdtps_trace):
            model, step = sick.start()
            with sdtps_trace(model):
                step(0)
            sdtps_trace.check()

        def test_nothing(sdtps_trace):
            sdtps_trace.check()
        """
    )
    plugin = ("-p", "sdtps_ref.properties.pytest_plugin.plugin", "-p", "no:cacheprovider")
    done = pytester.runpytest_inprocess(*plugin, "-W", "ignore::pytest.PytestAssertRewriteWarning")

    done.assert_outcomes(failed=2)
    done.stdout.fnmatch_lines(["*the mask multiplies the gradient of the score by*", "*nothing was traced*"])
