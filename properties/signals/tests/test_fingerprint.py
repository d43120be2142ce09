"""The fingerprint gives back what a black box computed, and says so when it computed something else."""

import numpy as np
import pytest

from sdtps_ref.properties.signals import fingerprint


def sample(seed: int, tokens: int = 9, keep: int = 4, slots: int = 3, dim: int = 6):
    """One sample's soft mask, weights, kept tokens and output."""
    rng = np.random.default_rng(seed)
    p = fingerprint.softmax(rng.normal(size=tokens))
    weights = fingerprint.softmax(rng.normal(size=(slots, keep)))
    kept = rng.normal(size=(keep, dim))
    return p, weights, kept, weights @ kept


@pytest.mark.parametrize("rate", [2.0, 1e10, -0.5])
def test_soft_mask_of_a_decision(rate: float) -> None:
    """From D's Jacobian: the soft mask and 1 / tau, of either sign, to 1e-9."""
    p, *_ = sample(0)

    found = fingerprint.soft_mask(rate * (np.diag(p) - np.outer(p, p)))

    np.testing.assert_allclose(found.probabilities, p, rtol=1e-9)
    assert found.rate == pytest.approx(rate, rel=1e-9)
    assert found.residual < 1e-9


@pytest.mark.parametrize("keep", [3, 4, 9])
def test_soft_mask_of_a_pipeline(keep: int) -> None:
    """From a few random combinations of the pipeline's outputs: the soft mask and gain / tau."""
    p, weights, kept, out = sample(1, keep=keep, dim=12)
    lever = np.zeros((out.size, 9))
    lever[:, :keep] = fingerprint.pooling_lever(weights, kept, out)
    combinations = np.random.default_rng(2).normal(size=(4, out.size))
    jacobian = combinations @ fingerprint.closed_form(lever, p, 1e10)

    found = fingerprint.soft_mask(jacobian, combinations @ lever)

    np.testing.assert_allclose(found.probabilities, p, rtol=1e-7)
    assert found.rate == pytest.approx(1e10, rel=1e-7)
    assert found.residual < 1e-9


@pytest.mark.parametrize("wrong", ["sigmoid", "identity", "kept only", "zero", "nan"])
def test_soft_mask_of_something_else(wrong: str) -> None:
    """What is no softmax leaves a residual far above the threshold that laws use."""
    p, *_ = sample(3)
    kept = np.arange(9) < 4
    jacobian = {
        "sigmoid": np.diag(p * (1 - p)),
        "identity": np.eye(9),
        "kept only": np.diag(p * kept) - np.outer(p * kept, p * kept) / (p * kept).sum(),
        "zero": np.zeros((9, 9)),
        "nan": np.full((9, 9), np.nan),
    }[wrong]

    found = fingerprint.soft_mask(jacobian)

    assert found.residual > 1e-3


def test_weights_of_pooled_tokens() -> None:
    """From pooled and kept tokens: the weights; from something not pooled: that it is not."""
    _, weights, kept, out = sample(4)

    found, residual = fingerprint.weights(out, kept)
    _, off = fingerprint.weights(out + 0.1 * np.random.default_rng(5).normal(size=out.shape), kept)

    np.testing.assert_allclose(found, weights, atol=1e-12)
    assert residual < 1e-12
    assert off > 1e-3
