"""What speaks against a noise: that it repeats, that it is correlated, that it is not Gumbel(0, 1).

A right noise is accused once in a million times at most: every statistic here is held to `CHANCE` by a
bound that holds for any sample size (`chance`), and a law asks for the evidence twice, on different seeds.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sdtps_ref.properties.kit import jacobians
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.signals import tail_bounds

CHANCE = 1e-8  # for each statistic; no noise faces more than 25
SAME = 1e-3  # rows closer than this in every token are one draw
TAILS = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1)


@dataclass(frozen=True)
class Evidence:
    """What was found. looks: the noise in a few words, for the certificate's diagnosis."""

    looks: str
    violation: Violation


def dependence(probe: Probe, noise: Tensor, again: Tensor) -> Evidence | None:
    """Against the independence of two calls' noise (B N each, float64, rows less their mean)."""
    return _repetition(probe, noise, again) or _correlation(probe, noise, again)


def departure(probe: Probe, noise: Tensor) -> Evidence | None:
    """Against Gumbel(0, 1) behind independent noise (B N, float64, known up to a constant a row)."""
    uniforms = probe.define("uniforms", jacobians.gumbel_uniforms, noise)
    nearly_all = noise.isfinite().all(-1).double().mean() >= 0.9
    if not nearly_all:
        message = f"noise is finite in {len(uniforms)} of {len(noise)} samples, but should be in all"
        return Evidence("infinite", Violation(message, nearly_all))
    return _distance(probe, noise, uniforms) or _tails(probe, noise, uniforms)


def _repetition(probe: Probe, noise: Tensor, again: Tensor) -> Evidence | None:
    both = torch.cat([noise, again])
    repeated = jacobians.repeated_row(both, SAME)
    if repeated is None:
        return None
    (call, b), (other_call, c) = (divmod(row, len(noise)) for row in repeated)
    if call == other_call:
        looks, where, why = "the same in several samples", "the same call", "samples share one draw"
    else:
        looks, where = "the same in several calls", "a call with another seed"
        why = "it is drawn once and kept, or forward seeds the generator"
    values = ", ".join(f"{value:.4g}" for value in both[repeated[0], :3].tolist())
    rows = [(noise, again)[i][row] for i, row in ((call, b), (other_call, c))]
    message = f"noise[b={b}] = ({values}, ...) = noise[b={c}] of {where}, but they should be independent: {why}"
    return Evidence(looks, Violation(message, (rows[0] - rows[1]).abs().amax() >= SAME))


def _correlation(probe: Probe, noise: Tensor, again: Tensor) -> Evidence | None:
    """Ranks within a row are a random permutation whatever the distribution, so none is assumed."""
    b, n = noise.shape[0] // 2, noise.shape[1] // 2
    for what, one, other in (
        (f"samples b and b + {b}", noise[:b], noise[b : 2 * b]),
        ("rows 2b and 2b + 1", noise[: 2 * b : 2], noise[1::2]),
        (f"tokens n and n + {n}", noise[:, :n], noise[:, n : 2 * n]),
        ("tokens 2n and 2n + 1", noise[:, : 2 * n : 2], noise[:, 1::2]),
        ("a call and another", noise, again),
    ):
        found = probe.define("correlation", jacobians.rank_correlation, one, other)
        # Spearman's correlation of two independent permutations of N has variance 1 / (N - 1).
        limit = tail_bounds.mean_threshold(len(one), 1 / (one.shape[1] - 1), 1.0, CHANCE)
        if abs(found) <= limit:
            continue
        message = (
            f"the noise of {what} has a rank correlation of {found:.3g}, but should be independent "
            f"(within {limit:.2g} of 0): they share a draw, or part of one"
        )
        return Evidence("not independent", Violation(message, abs(found) <= limit))
    return None


def _distance(probe: Probe, noise: Tensor, uniforms: Tensor) -> Evidence | None:
    distance = probe.define("distance", jacobians.distance_from_uniform, uniforms)
    limit = tail_bounds.ks_threshold(uniforms.numel(), CHANCE)
    if distance <= limit:
        return None
    looks = _looks(noise)
    if looks == f"{tail_bounds.GUMBEL}, times {probe.case.tau:.2g}":
        looks += " (which is tau: it was added after the division by it)"
    message = (
        f"the noise looks like {looks}, but should be Gumbel(0, 1), -log(-log(U)) (Kolmogorov-Smirnov distance "
        f"{distance:.3g} over {uniforms.numel()} draws, where chance stays below {limit:.2g})"
    )
    return Evidence(looks, Violation(message, distance <= limit))


def _tails(probe: Probe, noise: Tensor, uniforms: Tensor) -> Evidence | None:
    """An epsilon in the logarithms moves the body of the distribution by nothing, and cuts off its ends."""
    size = uniforms.numel()
    for share in TAILS:
        for end, beyond in (("highest", uniforms > 1 - share), ("lowest", uniforms < share)):
            seen = int(beyond.sum())
            if tail_bounds.binomial_chance(seen, size, share) >= CHANCE:
                continue
            looks = _looks(noise)
            if looks == tail_bounds.GUMBEL:
                looks += f" cut off at its {end}" if seen < share * size else f" with too many of its {end}"
            message = (
                f"the noise looks like {looks}, but should be Gumbel(0, 1), -log(-log(U)) ({seen} of {size} draws are "
                f"among its {end} {100 * share:.2g} %, but {share * size:.0f} should be)"
            )
            # The script's check is plainer than the bound: halfway to what is owed.
            halfway = (seen + share * size) / 2
            check = beyond.sum() > halfway if seen < share * size else beyond.sum() < halfway
            return Evidence(looks, Violation(message, check))
    return None


def _looks(noise: Tensor) -> str:
    return tail_bounds.resembles(noise[noise.isfinite().all(-1)].cpu().numpy())
