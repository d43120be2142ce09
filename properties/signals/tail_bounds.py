"""How likely chance is to look like a fault, and what a noise that is no Gumbel noise looks like instead.

The bounds hold for every sample size, not in a limit: what they call one in ten million is that or rarer.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def ks_threshold(size: int, chance: float) -> float:
    """The Kolmogorov-Smirnov distance that `size` draws exceed with probability `chance` or less.

    Source: Dvoretzky, Kiefer and Wolfowitz with Massart's constant, P(distance > d) <= 2 exp(-2 size d^2).
    """
    return math.sqrt(math.log(2 / chance) / (2 * size))


def binomial_chance(seen: int, size: int, share: float) -> float:
    """A bound on the probability of `seen` or fewer of `size` where share * size are owed (or more, above it).

    Source: Chernoff, exp(-size KL(seen / size || share)).
    """
    found = seen / size
    divergence = sum(part * math.log(part / owed) for part, owed in ((found, share), (1 - found, 1 - share)) if part)
    return math.exp(-size * divergence)


def largest_rate(happened: int, trials: int, chance: float) -> float:
    """The largest rate at which something happens `happened` times or fewer in `trials` with probability `chance`.

    Source: Clopper and Pearson 1934, exact for the binomial; an upper bound with confidence 1 - chance.
    """
    if happened == trials:
        return 1.0
    ways = [math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1) for k in range(happened + 1)]
    low, high = happened / trials, 1.0
    for _ in range(60):
        rate = (low + high) / 2
        logs = (way + k * math.log(rate) + (trials - k) * math.log1p(-rate) for k, way in enumerate(ways))
        low, high = (rate, high) if sum(map(math.exp, logs)) > chance else (low, rate)
    return high


def clopper_pearson(happened: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """The two-sided interval for the rate of what happened `happened` times in `trials`."""
    chance = (1 - confidence) / 2
    return 1 - largest_rate(trials - happened, trials, chance), largest_rate(happened, trials, chance)


def mean_threshold(size: int, variance: float, largest: float, chance: float) -> float:
    """What the mean of `size` independent variables of mean zero exceeds, either way, with this chance or less.

    variance: of each; largest: the most that each can be. Source: Bernstein's inequality,
    P(|mean| > t) <= 2 exp(-size t^2 / 2 / (variance + largest t / 3)), solved for t.
    """
    rate = math.log(2 / chance) / size
    return rate * largest / 3 + math.sqrt((rate * largest / 3) ** 2 + 2 * rate * variance)


def _gumbel(u: Array) -> Array:
    return -np.log(-np.log(u))


# What it is called, and how it is made from a uniform.
GUMBEL = "Gumbel(0, 1)"
KNOWN: tuple[tuple[str, Callable[[Array], Array]], ...] = (
    (GUMBEL, _gumbel),
    ("Gumbel(0, 1) with its sign flipped", lambda u: -_gumbel(u)),
    ("-log(U), one log instead of two", lambda u: -np.log(u)),
    ("log(U), one log instead of two", np.log),
    ("a logistic", lambda u: np.log(u / (1 - u))),
    ("a uniform on (0, 1)", lambda u: u),
    *(("Gumbel(0, 1) cut off", lambda u, cut=cut: _gumbel(np.clip(u, cut, 1 - cut))) for cut in (0.02, 0.05, 0.1, 0.2)),
)
ROWS = 2000
RESEMBLES = 0.03  # Kolmogorov-Smirnov distance


def resembles(noise: Array) -> str:
    """What the noise (B N, known up to a constant a row) looks like, in a few words."""
    rng = np.random.default_rng(0)
    shape = (ROWS, noise.shape[1])
    spread, sample = _standardised(noise)
    candidates = [(name, *_standardised(made(rng.random(shape)))) for name, made in KNOWN]
    own, other = _standardised(rng.standard_normal(shape))
    candidates.append((f"a normal of standard deviation {spread / own:.2g}", spread, other))
    distance, name, scale = min((_distance(sample, other), name, spread / own) for name, own, other in candidates)
    if distance > RESEMBLES:
        return f"no distribution known here, of standard deviation {spread:.2g}"
    return name if abs(scale - 1) < 0.04 or "cut off" in name else f"{name}, times {scale:.2g}"


def _standardised(noise: Array) -> tuple[float, Array]:
    centred = noise - noise.mean(axis=1, keepdims=True)
    spread = math.sqrt((centred**2).sum() / (noise.size - len(noise)))
    return spread, np.sort((centred / spread).ravel())


def _distance(one: Array, other: Array) -> float:
    both = np.concatenate([one, other])
    shares = [np.searchsorted(sample, both, side="right") / len(sample) for sample in (one, other)]
    return float(np.abs(shares[0] - shares[1]).max())
