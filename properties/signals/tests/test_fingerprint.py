"""The fingerprint gives back what a black box computed, and says so when it computed something else."""

import pytest
import torch
from torch import Tensor

from sdtps_ref.properties.kit import jacobians
from sdtps_ref.properties.signals import fingerprint


def normal(*size: int, seed: int) -> Tensor:
    """Float64 values from a generator of their own."""
    return torch.randn(*size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def sample(seed: int, tokens: int = 9, keep: int = 4, slots: int = 3, dim: int = 6) -> tuple[Tensor, ...]:
    """One sample's soft mask, weights, kept tokens and output."""
    p, weights = normal(tokens, seed=seed).softmax(-1), normal(slots, keep, seed=seed + 100).softmax(-1)
    kept = normal(keep, dim, seed=seed + 200)
    return p, weights, kept, weights @ kept


@pytest.mark.parametrize("rate", [2.0, 1e10, -0.5])
def test_soft_mask_of_a_decision(rate: float) -> None:
    """From D's Jacobian: the soft mask and 1 / tau, of either sign, to 1e-9."""
    p, *_ = sample(0)

    found, found_rate, unexplained = fingerprint.soft_mask(rate * (p.diag() - p.outer(p)), torch.eye(9))

    torch.testing.assert_close(found, p, rtol=1e-9, atol=0)
    assert float(found_rate) == pytest.approx(rate, rel=1e-9)
    assert unexplained < 1e-9


@pytest.mark.parametrize("keep", [3, 4, 9])
def test_soft_mask_of_a_pipeline(keep: int) -> None:
    """From a few random combinations of the pipeline's outputs: the soft mask and gain / tau."""
    p, _, kept, out = sample(1, keep=keep, dim=12)
    tokens = torch.cat([kept, normal(9 - keep, 12, seed=7)])
    lever = fingerprint.lever_of_all(out, tokens, torch.arange(keep))
    combinations = normal(4, out.numel(), seed=2)
    jacobian = combinations @ fingerprint.closed_form(lever, p, 1e10)

    found, rate, unexplained = fingerprint.soft_mask(jacobian, combinations @ lever)

    torch.testing.assert_close(found, p, rtol=1e-7, atol=0)
    assert float(rate) == pytest.approx(1e10, rel=1e-7)
    assert unexplained < 1e-9


@pytest.mark.parametrize("wrong", ["sigmoid", "identity", "kept only", "zero", "nan"])
def test_soft_mask_of_something_else(wrong: str) -> None:
    """What is no softmax leaves a residual far above the threshold that laws use."""
    p, *_ = sample(3)
    kept = p * (torch.arange(9) < 4)
    jacobian = {
        "sigmoid": (p * (1 - p)).diag(),
        "identity": torch.eye(9),
        "kept only": kept.diag() - kept.outer(kept) / kept.sum(),
        "zero": torch.zeros(9, 9),
        "nan": torch.full((9, 9), torch.nan),
    }[wrong]

    _, _, unexplained = fingerprint.soft_mask(jacobian, torch.eye(9))

    assert unexplained > 1e-3


def test_weights_of_pooled_tokens() -> None:
    """From pooled and kept tokens: the weights; from something not pooled: that it is not."""
    _, weights, kept, out = sample(4)

    found = fingerprint.weights(out, kept)

    torch.testing.assert_close(found, weights, rtol=0, atol=1e-12)
    assert jacobians.off_all_means(out, kept) < 1e-12
    assert jacobians.off_all_means(out + 0.1 * normal(*out.shape, seed=5), kept) > 1e-3
