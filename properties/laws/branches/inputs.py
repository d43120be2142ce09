"""Scores for two branches, a call of them, and the weights that their sum gives each token."""

from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe

# C >= N + 1, so that the weights of all tokens can be read off the sum; 2 K <= N, so that the branches can keep others.
READABLE = Domain(
    fixed=(
        Case(3, 8, 3, 16, 2, dtype="float64", scores="distinct"),
        Case(2, 14, 6, 24, 3, tau=0.5, dtype="float64", scores="distinct", training=False, seed=1),
        Case(2, 9, 4, 16, 3, tau=5.0, dtype="float64", scores="distinct", seed=2),
    )
)
STRUCTURE = 1e-4
WEIGHT = 1e-4  # none or all; what float32 leaves is near 1e-6
BRANCHES = ("sparse", "dense")


def other_score(probe: Probe) -> Tensor:
    """Scores for the dense branch, which keep other tokens where there are enough: those of the sparse one, turned."""
    score = probe.score.detach()
    return probe.given("score_dense", -score)


def branched(probe: Probe, sparse: Tensor, dense: Tensor, **options: Any) -> Tensor:
    """One call of the branches."""
    built = probe.build("branches")
    result = probe.call(built, probe.tokens, sparse, dense, name="pooled", **options)
    if not isinstance(result, Tensor):
        raise Violation(
            f"branches(...) returned {type(result).__name__}, but should return a Tensor B M C",
            check=False,
        )
    return result


def pooling_weights(probe: Probe, pooled: Tensor) -> Tensor:
    """W (B M N) with pooled = W @ tokens; the columns of tokens are independent where C >= N."""
    solution = torch.linalg.lstsq(probe.tokens.detach().mT, pooled.detach().mT).solution  # B N M
    off = (probe.tokens.detach().mT @ solution - pooled.detach().mT).abs().amax()
    if off > STRUCTURE * float(pooled.detach().abs().amax()):
        raise Violation(
            f"branches(...) is {float(off):.3g} away from every combination of the tokens, but should be one",
            check=off <= STRUCTURE * pooled.detach().abs().amax(),
        )
    return solution.mT
