"""The digits in short, and the command that trains, stores, draws and shows them."""

import math
from pathlib import Path

import pytest

from sdtps_ref.__main__ import main
from sdtps_ref.benchmarks.trainability import digits
from sdtps_ref.benchmarks.trainability.digits_record import interval

pytest.importorskip("sklearn")
NAMED = {variant.name: variant for variant in digits.VARIANTS}


def run(name: str, optimiser: str) -> digits.DigitsRun:
    """One epoch."""
    made = list(digits.train(NAMED[name], optimiser, 0, digits.pictures(), epochs=1))[-1]
    assert made is not None
    return made


def test_sgd_explodes_with_1e10_alone() -> None:
    """After an epoch its loss is thousands, where log D and no D are near chance."""
    assert run("1e10", "SGD").loss > 1e3
    assert run("log D", "SGD").loss < 3
    assert run("no D", "SGD").loss < 3


def test_first_gradient_shows_the_constant() -> None:
    """A smaller constant gives a gradient that is smaller by as much, until the rest of the model hides it."""
    large, middle, log = (run(name, "Adam").gradient for name in ("1e10", "1e4", "log D"))

    assert 3e5 < large / middle < 3e6
    assert log < 3


def test_trace_of_the_first_step_names_the_mask() -> None:
    """With its line."""
    told = digits.first_step(digits.pictures())

    assert "the mask multiplies the gradient of the score by" in told
    assert "logits = logits - (1 - d) * self.mask" in told


@pytest.mark.slow
def test_command_round_trip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was stored is shown and drawn again, the same to the letter."""
    kept, plot = tmp_path / "d.json", tmp_path / "d.svg"

    assert (
        main(["bench", "trainability", "--data", "digits", "--seeds", "1", "--epochs", "1", "--json", str(kept)]) == 0
    )
    first = capsys.readouterr().out
    assert main(["bench", "trainability", "--data", "digits", "--from", str(kept), "--svg", str(plot)]) == 0

    assert first == capsys.readouterr().out
    assert "<svg" in plot.read_text()


def test_interval() -> None:
    """The second and the last but one, a NaN counting as the largest."""
    assert interval([3.0, 1.0, 2.0, math.nan, 5.0, 4.0, 6.0, 7.0]) == (4.5, 2.0, 7.0)
