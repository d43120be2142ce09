"""The situations that every stage after the score is put into: sizes, ties, magnitudes, temperatures and noise."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdtps_ref.golden.draw import Draw

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Situation:
    """One row or more of scores and what comes with them. `uniform` is None for no noise."""

    comment: str
    flags: tuple[str, ...]
    tokens: Array  # B N C
    score: Array  # B N
    uniform: Array | None  # B N
    keep: int
    tau: float
    draw: Draw  # for what a stage needs beside


def situations(seed: int, channels: int = 10) -> Iterator[Situation]:
    """All of them, with values that depend on `seed` alone."""
    number = 0

    def make(
        comment: str,
        flags: str,
        B: int = 2,
        N: int = 7,
        K: int = 3,
        tau: float = 1.0,
        noise: bool = True,
        C: int = channels,
    ) -> Situation:
        nonlocal number
        number += 1
        draw = Draw(1000 * seed + number)
        uniform = draw.uniforms(B, N) if noise else None
        return Situation(comment, tuple(flags.split()), draw.grid(B, N, C), draw.rows(B, N), uniform, K, tau, draw)

    def scored(situation: Situation, score: Array) -> Situation:
        return Situation(**{**vars(situation), "score": score})

    yield make("an ordinary selection", "Ordinary")
    yield make("the same without noise", "Ordinary NoNoise", noise=False)
    yield make("K is more than half", "Ordinary", N=9, K=6, tau=0.7)
    yield make("one sample", "OneSample", B=1)
    yield make("as many samples as tokens", "SquareBatch", B=5, N=5, K=2)
    yield make("one token is kept", "KeepOne", K=1)
    yield make("one token is kept, without noise", "KeepOne NoNoise", K=1, noise=False)
    yield make("every token is kept", "KeepAll", N=6, K=6)
    yield make("one token in all", "OneToken KeepOne KeepAll", N=1, K=1)
    yield make("one channel", "OneChannel", C=1)
    yield make("a longer row", "ManyTokens", B=1, N=40, K=17, C=4 if channels > 4 else channels)

    tied = make("two equal scores, of which one is kept", "Ties NoNoise", B=1, N=6, K=2, noise=False)
    yield scored(tied, np.array([[0.5, 2.0, 0.5, -1.0, -0.5, 0.25]]))
    tied = make("eight equal scores", "Ties ConstantRow NoNoise", B=1, N=8, K=3, noise=False)
    yield scored(tied, np.full((1, 8), 0.75))
    tied = make("twenty scores of three values", "Ties ManyTokens", B=1, N=20, K=9, C=4 if channels > 4 else channels)
    yield scored(tied, np.array([[(n * 7 % 3) / 2 for n in range(20)]]))
    tied = make("equal scores, all kept or all dropped", "InnerTies", B=1, N=6, K=3)
    yield scored(tied, np.array([[2.0, -1.0, 2.0, 0.5, -1.0, -1.0]]))
    tied = make("equal scores, and every token is kept", "InnerTies ConstantRow KeepAll", B=1, N=4, K=4)
    yield scored(tied, np.full((1, 4), -0.5))

    huge = make("scores around 1e4", "HugeScore", N=6, K=3)
    yield scored(huge, 10000.0 + huge.score)
    huge = make("scores of plus and minus 1e4, without noise", "HugeScore NoNoise", B=1, N=6, K=3, noise=False)
    yield scored(huge, np.array([[1e4, -1e4, 9999.5, 1e4 - 1, -9999.0, 0.0]]))
    huge = make("scores of 1e4 and tau of 0.05", "HugeScore ColdTau", B=1, N=5, K=2, tau=0.05)
    yield scored(huge, np.array([[9984.0, 10000.0, -10000.0, 9999.96875, 0.0]]))
    tiny = make("scores of 1e-30", "TinyScore", N=6, K=3)
    yield scored(tiny, 1e-30 * tiny.score)
    tiny = make("scores of 2^-100, which every format holds, without noise", "TinyScore NoNoise", K=3, noise=False)
    yield scored(tiny, 2.0**-100 * tiny.score)
    close = make("scores one unit of bfloat16 apart", "CloseScores NoNoise", B=1, N=6, K=3, noise=False)
    yield scored(close, 1 + np.array([[3, 0, 5, 1, 4, 2]]) / 128)
    close = make("scores one unit of float32 apart", "CloseScores", B=1, N=6, K=3)
    yield scored(close, 1 + np.array([[3, 0, 5, 1, 4, 2]]) / 2**23)
    below = make("every score is below zero", "NegativeScores", N=6, K=2)
    yield scored(below, -np.abs(below.score) - 0.125)

    for tau in (0.05, 0.25, 2.0, 50.0):
        yield make(f"tau of {tau}", "ColdTau" if tau < 1 else "WarmTau", N=5, K=2, tau=tau, noise=tau != 0.25)

    edge = make("a uniform of exactly 0 and one of exactly 1", "InfiniteNoise", N=5, K=2)
    edge.uniform[:, 1], edge.uniform[:, 3] = 0.0, 1.0  # type: ignore[index]
    yield edge
    same = make("every token is the same", "SameTokens", N=5, K=3)
    same.tokens[:] = same.tokens[:, :1]
    yield same


def finite(situation: Situation) -> bool:
    """Whether the noise is finite, so that what follows from it has one answer in every format."""
    return "InfiniteNoise" not in situation.flags
