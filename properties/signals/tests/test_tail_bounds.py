"""The statistics behind the laws of the noise: exact where they say so, and blind to what softmax forgets."""

import numpy as np
import pytest
import torch

from sdtps_ref.properties.kit import jacobians
from sdtps_ref.properties.kit.values import draw
from sdtps_ref.properties.signals import tail_bounds

SHAPE = (400, 64)


def test_jacobian_gives_back_the_softmax_behind_it():
    """log p and the rate are read off a Jacobian to within rounding."""
    log_p = draw("normal", (3, 7), 0).log_softmax(-1)
    rate = torch.tensor([2.0, 0.5, 1.0], dtype=torch.float64)

    found_log_p, found_rate = jacobians.softmax_behind(jacobians.softmax_jacobian(log_p, rate))

    assert torch.allclose(log_p, found_log_p, rtol=0, atol=1e-12)
    assert torch.allclose(rate, found_rate, rtol=1e-12)


def test_noise_is_recovered_up_to_a_constant_a_row():
    """tau log p - score is the noise that was added, less its row's mean."""
    score, noise = draw("normal", (5, 9), 1).requires_grad_(), draw("normal", (5, 9), 2)

    found = jacobians.noise_behind(torch.softmax((score + noise) / 0.5, dim=-1), score, 0.5)

    assert torch.allclose(noise - noise.mean(-1, keepdim=True), found, rtol=0, atol=1e-12)


def test_uniforms_forget_the_row_constant_and_stay_under_the_threshold():
    """Exact Gumbel noise gives uniforms, whatever is added to each row."""
    rng = np.random.default_rng(0)
    noise = torch.from_numpy(rng.gumbel(size=SHAPE))
    moved = noise + torch.from_numpy(rng.standard_normal((SHAPE[0], 1)))

    uniforms = jacobians.gumbel_uniforms(noise)

    assert torch.allclose(uniforms, jacobians.gumbel_uniforms(moved), rtol=0, atol=1e-9)
    assert jacobians.distance_from_uniform(uniforms) < tail_bounds.ks_threshold(uniforms.numel(), 0.01)


@pytest.mark.parametrize(
    ("made", "name"),
    [
        (lambda rng: rng.gumbel(size=SHAPE), tail_bounds.GUMBEL),
        (lambda rng: -rng.gumbel(size=SHAPE), "Gumbel(0, 1) with its sign flipped"),
        (lambda rng: 0.5 * rng.gumbel(size=SHAPE), "Gumbel(0, 1), times 0.5"),
        (lambda rng: rng.normal(scale=2.0, size=SHAPE), "a normal of standard deviation 2"),
        (lambda rng: rng.random(SHAPE), "a uniform on (0, 1)"),
        (lambda rng: rng.exponential(size=SHAPE), "-log(U), one log instead of two"),
    ],
)
def test_noise_is_called_what_it_is(made, name):
    """The diagnosis names the distribution, its sign and its scale."""
    assert tail_bounds.resembles(made(np.random.default_rng(3))).startswith(name)


def test_bounds_are_bounds():
    """Chernoff and Bernstein are never below the share of simulated samples that go as far."""
    rng = np.random.default_rng(4)
    counts = rng.binomial(1000, 0.01, size=20_000)
    means = rng.uniform(-1, 1, size=(2000, 300)).mean(axis=1)

    for seen in (2, 4, 17, 20):
        as_far = (counts <= seen).mean() if seen < 10 else (counts >= seen).mean()
        assert as_far <= tail_bounds.binomial_chance(seen, 1000, 0.01)
    assert (abs(means) > tail_bounds.mean_threshold(300, 1 / 3, 1.0, 0.05)).mean() <= 0.05


def test_clopper_pearson():
    """No failure in n bounds the rate by 1 - chance ** (1 / n); bounds are where the observed becomes improbable."""
    assert tail_bounds.largest_rate(0, 100, 0.05) == pytest.approx(1 - 0.05 ** (1 / 100))
    assert tail_bounds.largest_rate(5, 100, 0.05) == pytest.approx(0.1024, abs=1e-3)  # tables: one-sided, 5 of 100
    assert tail_bounds.clopper_pearson(5, 100) == pytest.approx((0.0164, 0.1128), abs=1e-4)  # tables: two-sided
    assert tail_bounds.clopper_pearson(3000, 3000)[0] == pytest.approx(0.025 ** (1 / 3000))
