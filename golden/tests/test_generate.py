"""Two computations that share no line: the numpy oracle and mpmath confirm each other, and one bit shows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdtps_ref.golden import generate, oracle, oracle_scoring, stages, vectors
from sdtps_ref.golden.floats import spacing

ROUNDED = [name for name in stages.NAMES if name not in ("decision", "selection")]
every_file = pytest.mark.parametrize("name", stages.NAMES)


def oracle_errors(name: str) -> list[float]:
    """The oracle's errors on a stage's file, in units in the last place of every entry, largest dropped tails aside."""
    errors = []
    stage = stages.stage(name)
    for case in vectors.read(vectors.FOLDER / f"{name}.json").cases:
        found = stage.oracle(vectors.decode_input(case.inputs))
        for output, part in case.expected.items():
            if "float64" not in part:
                continue
            actual = np.asarray(found[output]).ravel()[part.get("positions", slice(None))]
            for x, y in zip(actual, vectors.written(part, "float64"), strict=True):
                if y and np.isfinite(y):
                    errors.append(float((abs(x) - abs(y)) / spacing(abs(y), "float64")))
    return errors


@every_file
def test_the_oracle_agrees_on_every_case(name: str) -> None:
    """Every output of every case of the numpy oracle is what is written, within the vector's own allowance."""
    stage = stages.stage(name)

    for case in vectors.read(vectors.FOLDER / f"{name}.json").cases:
        generate.confirm(stage.oracle(vectors.decode_input(case.inputs)), case.expected, case.id)


@pytest.mark.parametrize("name", ROUNDED)
def test_the_oracle_errs_to_neither_side(name: str) -> None:
    """The oracle's median error in magnitude is under half a unit: it rounds, and has no bias."""
    errors = oracle_errors(name)

    assert len(errors) >= 100
    assert abs(np.median(errors)) < 0.5


def nudged(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same, with the last bit of every number moved outwards."""

    def wrapped(*arguments: Any, **named: Any) -> Any:
        result = function(*arguments, **named)
        return np.where(result == 0, result, np.nextafter(result, np.where(result > 0, np.inf, -np.inf)))

    return wrapped


@pytest.mark.parametrize(
    ("name", "module", "function"),
    [
        ("noise", oracle, "gumbel_noise"),
        ("soft_mask", oracle, "soft_mask"),
        ("extra_token", oracle, "extra_token"),
        ("aggregation", oracle, "aggregate"),
        ("scoring", oracle_scoring, "min_max"),
    ],
)
def test_one_bit_changed_in_the_oracle_is_seen(
    name: str, module: Any, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One bit moved in what a stage of the oracle returns makes its errors lean to one side."""
    before = np.mean(oracle_errors(name))
    monkeypatch.setattr(module, function, nudged(getattr(module, function)))

    after = np.mean(oracle_errors(name))

    assert after - before > 0.15


@pytest.mark.parametrize("name", ["decision", "selection"])
def test_one_bit_changed_in_an_exact_oracle_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the result is exact, `generate` refuses an oracle that is one bit off, and names case and entry."""
    monkeypatch.setattr(oracle, "hard_mask", nudged(oracle.hard_mask))

    with pytest.raises(vectors.VectorError, match=rf"{name}-001 \w+decision\[\d\]|{name}-001 decision\[\d\]"):
        generate.build(name)


@pytest.mark.parametrize("name", ["extra_token", "gradients"])
def test_a_wrong_oracle_is_refused(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is written where the two computations disagree."""
    for function in ("extra_token", "soft_mask"):
        right = getattr(oracle, function)
        monkeypatch.setattr(oracle, function, lambda *a, right=right, **k: right(*a, **k) * (1 + 1e-13))

    with pytest.raises(vectors.VectorError, match=f"{name}-001"):
        generate.write(tmp_path, (name,))

    assert not list(tmp_path.iterdir())


def test_too_few_digits_are_refused() -> None:
    """A value that two precisions round differently is not written."""
    stage = stages.stage("soft_mask")
    inputs = next(stage.sketches()).inputs

    with pytest.raises(vectors.VectorError, match="needs more than 16 digits"):
        generate.decided(stage.exact, inputs, (16, 60))
