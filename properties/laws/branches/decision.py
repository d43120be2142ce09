"""The decision matrices of two branches: each acts in its own, with noise of its own."""

import torch
from torch import Tensor

from sdtps_ref.properties.kit import values
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.branches.inputs import (
    BRANCHES,
    READABLE,
    STRUCTURE,
    branched,
    other_score,
    pooling_weights,
)
from sdtps_ref.properties.signals import fingerprint

COMBINATIONS = 6


@law(needs="branches", depends=("branches.is_the_sum_of_both", "gradient.is_finite"), domain=READABLE)
def decision_acts_in_its_own_branch(probe: Probe) -> None:
    """d out/d score_s = (gain / tau) p_n (H_n - H p), p the soft mask of the sparse branch and H made of its own kept
    tokens and weights; and so for the dense one, with the same gain.

    Why: each text's score is trained by its own D. With D exchanged, shared or left out in one branch, the output is
    right, and one text's score learns nothing, or what the other's should.
    Breaks when: both branches are handed one D, the D of the other, or none; or the scores are added before.
    Remedy: `pool_sparse(sparse.selected_tokens, sparse.selected_decision)`, and the same for dense.
    """
    case = probe.case
    scores = [probe.score, probe.given("score_dense", other_score(probe), requires_grad=True)]
    pooled = branched(probe, *scores)
    weights = pooling_weights(probe, pooled)
    combinations = values.draw("normal", (COMBINATIONS, *pooled.shape), case.seed).to(pooled)
    gains = {}
    for name, score in zip(BRANCHES, scores, strict=True):
        products = probe.products(pooled, score, combinations)  # B count N
        rates = []
        for b in range(case.batch):
            found = _soft_mask(probe, b, products[b], combinations[:, b], weights[b], score[b].detach())
            probabilities, rate, unexplained = found
            if probabilities.amin() >= 0 and 0.99 < probabilities.amax() <= 1:
                continue  # what rounding left of p (1 - p)
            if not unexplained < STRUCTURE or not rate > 0:
                _refuse(name, b, products[b], unexplained, rate)
            rates.append(rate * case.tau)
        if rates:
            gains[name] = torch.stack(rates).median()
    if len(gains) == 2 and (gains["sparse"] / gains["dense"] - 1).abs() > 1e-2:
        low = min(gains, key=lambda name: float(gains[name]))
        raise Violation(
            f"the score of the {low} branch receives {float(gains[low]):.4g} times its gradient, but should receive as "
            f"many times as that of the other, {max(map(float, gains.values())):.4g}",
            check=(gains["sparse"] / gains["dense"] - 1).abs() <= 1e-2,
        )


def _soft_mask(
    probe: Probe, b: int, products: Tensor, combinations: Tensor, weights: Tensor, score: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """What the gradient of one sample's score says of the soft mask behind it: p, the rate, and what is unexplained."""
    kept = score.topk(probe.case.keep).indices
    among = probe.tokens[b][kept].detach()
    own = weights[:, kept] @ among  # this branch's slots
    lever = torch.zeros(own.numel(), len(score), dtype=own.dtype, device=own.device)
    lever[:, kept] = probe.define("lever", fingerprint.pooling_lever, own, among, helpers=(fingerprint.weights,)).to(
        own
    )
    combined = combinations.flatten(1) @ lever
    found: tuple[Tensor, Tensor, Tensor] = probe.define(
        "mask", fingerprint.soft_mask, products, combined, helpers=(fingerprint.closed_form,)
    )
    return found


def _refuse(name: str, b: int, products: Tensor, unexplained: Tensor, rate: Tensor) -> None:
    if not products.any():
        raise Violation(
            f"gradient of branches(...) to score_{name} is zero in sample b={b}, but should not be: the D of the "
            f"{name} "
            "branch does not reach its aggregation",
            check=products.any(),
        )
    raise Violation(
        f"gradient of branches(...) to score_{name} in sample b={b} is explained by no soft mask over its own branch's "
        f"tokens (by {float(unexplained):.2g} of its size): the other branch, or another D, acts in it",
        check=(unexplained < STRUCTURE) & (rate > 0),
    )


@law(needs="branches", depends="branches.decision_acts_in_its_own_branch", domain=Domain(fixed=READABLE.fixed[::2]))
def noise_is_not_shared(probe: Probe) -> None:
    """Where both scores are the same, the two soft masks still differ in train mode: each branch draws noise of its
    own.

    Why: with one draw for both, the texts explore the same tokens at the same time.
    Breaks when: the noise is drawn once and handed to both, or each selector seeds a generator with the same number.
    Remedy: let each selector draw its own from torch's running generator.
    """
    case = probe.case
    same = probe.given("same_score", probe.score, requires_grad=True)
    apart = probe.given("apart", other_score(probe), requires_grad=True)
    masks = []
    for i, (first, second) in enumerate(((probe.score, apart), (apart, same))):
        pooled = branched(probe, first, second)
        score = (first, second)[i]
        combinations = values.draw("normal", (COMBINATIONS, *pooled.shape), case.seed).to(pooled)
        products = probe.products(pooled, score, combinations)
        found = _soft_mask(
            probe, 0, products[0], combinations[:, 0], pooling_weights(probe, pooled)[0], score[0].detach()
        )
        masks.append(found[0])
    plain = (probe.score[0].detach().double() / case.tau).softmax(-1).cpu()
    if (masks[0] - plain).abs().amax() < 1e-6:
        return  # no noise at all is another law's
    if (masks[0] - masks[1]).abs().amax() < 1e-6:
        raise Violation(
            "from the same score and seed the soft masks of both branches are "
            f"{[round(p, 4) for p in masks[0][:3].tolist()]} ..., but should differ: the branches share one draw "
            "of noise",
            check=(masks[0] - masks[1]).abs().amax() >= 1e-6,
        )
