"""Two texts, two scores, two decision matrices, two aggregations, one sum: equation 4."""

from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.kit import values
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.expect import expect_dtype, expect_finite, expect_shape
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.signals import fingerprint

SHAPES = Domain(
    fixed=(
        Case(2, 6, 3, 8, 2),
        Case(1, 9, 1, 8, 4, dtype="float64", training=False),
        Case(3, 5, 5, 16, 3, dtype="bfloat16"),
        Case(65, 33, 32, 8, 7, tau=0.1, scores="ties"),
        Case(2, 12, 5, 8, 2, dtype="float16", training=False),
        Case(3, 7, 2, 8, 2, tau=20.0, layout="transposed", scores="far"),
    )
)
# C >= N + 1, so that the weights of all tokens can be read off the sum; 2 K <= N, so that the branches can keep others.
READABLE = Domain(
    fixed=(
        Case(3, 8, 3, 16, 2, dtype="float64", scores="distinct"),
        Case(2, 14, 6, 24, 3, tau=0.5, dtype="float64", scores="distinct", training=False, seed=1),
        Case(2, 9, 4, 16, 3, tau=5.0, dtype="float64", scores="distinct", seed=2),
    )
)
COMBINATIONS = 6
STRUCTURE = 1e-4
WEIGHT = 1e-4  # none or all; what float32 leaves is near 1e-6
BRANCHES = ("sparse", "dense")


@law(needs="branches", depends="shape.follows_inputs", domain=SHAPES)
def shape_follows_inputs(probe: Probe) -> None:
    """branches(tokens, score_sparse, score_dense) = B M C, finite, in the tokens' dtype.

    Why: the branches are added, not joined: M slots come out of two times M.
    Breaks when: the branches are concatenated, the extra token is appended, or a mask of one dtype meets another.
    Remedy: `sparse_slots + dense_slots`, both B M C.
    """
    case = probe.case
    pooled = branched(probe, probe.score, _other(probe))
    expect_shape(probe, "branches(tokens, score_sparse, score_dense)", pooled, (case.batch, case.slots, case.dim))
    expect_dtype(probe, "branches(...)", pooled, case.torch_dtype)
    expect_finite(probe, "branches(tokens, score_sparse, score_dense)", "bmc", pooled)


@law(needs="branches", depends="branches.shape_follows_inputs", domain=READABLE)
def is_the_sum_of_both(probe: Probe) -> None:
    """out = W_s @ V_s + W_d @ V_d: weights that sum to one over the tokens that score_sparse keeps, and to one over
    those that score_dense keeps; each branch's weights are its own affair.

    Why: with a mean in place of the sum, or one branch alone, everything trains and every number is finite; the next
    layer sees half of what it should, or one text.
    Breaks when: the branches are averaged, weighed by a gate that equation 4 does not have, or one of them is given the
    other's score, tokens or result.
    Remedy: `pool_sparse(V_s, D_s) + pool_dense(V_d, D_d)`.
    """
    case, sparse = probe.case, probe.score.detach()
    dense = _other(probe)
    pooled = branched(probe, sparse, dense)
    weights = _weights(probe, pooled)
    for b in range(case.batch):
        kept = [score[b].topk(case.keep).indices.tolist() for score in (sparse, dense)]
        for name, own in zip(BRANCHES, kept, strict=True):
            each = weights[b][:, own].sum(-1)
            if (each - 1).abs().amax() > WEIGHT:
                m = int((each - 1).abs().argmax())
                raise Violation(
                    f"the tokens that score_{name} keeps in sample b={b} weigh {float(each[m]):.4g} in slot m={m}, but "
                    "should weigh 1: the output is no sum of both branches",
                    check=(weights[b][m, own].sum() - 1).abs() <= WEIGHT,
                )
        nobody = [n for n in range(case.num_tokens) if n not in {*kept[0], *kept[1]}]
        if nobody and weights[b][:, nobody].abs().amax() > WEIGHT:
            raise Violation(
                f"tokens {nobody} of sample b={b} weigh up to {float(weights[b][:, nobody].abs().amax()):.4g}, "
                "but should "
                "weigh nothing: neither score keeps them",
                check=weights[b][:, nobody].abs().amax() <= WEIGHT,
            )
    # With another dense score the sparse branch stays what it was.
    moved = probe.given("moved_dense", dense.roll(1, -1))
    for name, given in (
        ("dense", (sparse, moved)),
        ("sparse", (probe.given("moved_sparse", sparse.roll(1, -1)), dense)),
    ):
        still = BRANCHES[name == "sparse"]
        _expect_still(probe, still, pooled, branched(probe, *given), sparse if still == "sparse" else dense, given)


def _expect_still(
    probe: Probe, name: str, before: Tensor, after: Tensor, score: Tensor, given: tuple[Tensor, Tensor]
) -> None:
    """The weights of the branch whose score did not move, on tokens that the other does not keep now or before."""
    case = probe.case
    other_before = _other(probe) if name == "sparse" else probe.score.detach()
    other_after = given[1] if name == "sparse" else given[0]
    first, second = _weights(probe, before), _weights(probe, after)
    for b in range(case.batch):
        kept = {int(n) for n in score[b].topk(case.keep).indices}
        foreign = {int(n) for part in (other_before, other_after) for n in part[b].topk(case.keep).indices}
        own = sorted(kept - foreign)
        if own and (first[b][:, own] - second[b][:, own]).abs().amax() > WEIGHT:
            raise Violation(
                f"the weights of the {name} branch on tokens {own} of sample b={b} changed with the other score, but "
                "should not: each score chooses in its own branch",
                check=(first[b][:, own] - second[b][:, own]).abs().amax() <= WEIGHT,
            )


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
    scores = [probe.score, probe.given("score_dense", _other(probe), requires_grad=True)]
    pooled = branched(probe, *scores)
    weights = _weights(probe, pooled)
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


@law(needs="branches", depends="branches.decision_acts_in_its_own_branch", domain=Domain(fixed=READABLE.fixed[:1]))
def have_their_own_aggregation(probe: Probe) -> None:
    """branches(tokens, s, d) is not branches(tokens, d, s): the two texts have two aggregations.

    Why: with one for both, what the sparse text asks for and what the dense one does are pooled by the same weights,
    and the second set of parameters, where there is one, is never trained.
    Breaks when: one aggregator is called twice, or built once and put in both places.
    Remedy: build two, `sparse_aggregation` and `dense_aggregation`.
    """
    dense = _other(probe)
    there = branched(probe, probe.score.detach(), dense)
    back = branched(probe, dense, probe.score.detach())
    if (there - back).abs().amax() <= WEIGHT * there.abs().amax():
        raise Violation(
            "branches(tokens, s, d) = branches(tokens, d, s), but should differ: both branches are pooled by one "
            "aggregation",
            check=(there - back).abs().amax() > WEIGHT * there.abs().amax(),
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
    apart = probe.given("apart", _other(probe), requires_grad=True)
    masks = []
    for i, (first, second) in enumerate(((probe.score, apart), (apart, same))):
        pooled = branched(probe, first, second)
        score = (first, second)[i]
        combinations = values.draw("normal", (COMBINATIONS, *pooled.shape), case.seed).to(pooled)
        products = probe.products(pooled, score, combinations)
        found = _soft_mask(probe, 0, products[0], combinations[:, 0], _weights(probe, pooled)[0], score[0].detach())
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


def _other(probe: Probe) -> Tensor:
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


def _weights(probe: Probe, pooled: Tensor) -> Tensor:
    """W (B M N) with pooled = W @ tokens; the columns of tokens are independent where C >= N."""
    solution = torch.linalg.lstsq(probe.tokens.detach().mT, pooled.detach().mT).solution  # B N M
    off = (probe.tokens.detach().mT @ solution - pooled.detach().mT).abs().amax()
    if off > STRUCTURE * float(pooled.detach().abs().amax()):
        raise Violation(
            f"branches(...) is {float(off):.3g} away from every combination of the tokens, but should be one",
            check=off <= STRUCTURE * pooled.detach().abs().amax(),
        )
    return solution.mT
