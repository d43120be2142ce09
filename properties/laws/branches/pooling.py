"""What two branches come to: the shapes, the sum, an aggregation each."""

from torch import Tensor

from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.expect import expect_dtype, expect_finite, expect_shape
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.laws.branches.inputs import BRANCHES, READABLE, WEIGHT, branched, other_score, pooling_weights

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


@law(needs="branches", depends="shape.follows_inputs", domain=SHAPES)
def shape_follows_inputs(probe: Probe) -> None:
    """branches(tokens, score_sparse, score_dense) = B M C, finite, in the tokens' dtype.

    Why: the branches are added, not joined: M slots come out of two times M.
    Breaks when: the branches are concatenated, the extra token is appended, or a mask of one dtype meets another.
    Remedy: `sparse_slots + dense_slots`, both B M C.
    """
    case = probe.case
    pooled = branched(probe, probe.score, other_score(probe))
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
    dense = other_score(probe)
    pooled = branched(probe, sparse, dense)
    weights = pooling_weights(probe, pooled)
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
    other_before = other_score(probe) if name == "sparse" else probe.score.detach()
    other_after = given[1] if name == "sparse" else given[0]
    first, second = pooling_weights(probe, before), pooling_weights(probe, after)
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


@law(needs="branches", depends="branches.decision_acts_in_its_own_branch", domain=Domain(fixed=READABLE.fixed[:1]))
def have_their_own_aggregation(probe: Probe) -> None:
    """branches(tokens, s, d) is not branches(tokens, d, s): the two texts have two aggregations.

    Why: with one for both, what the sparse text asks for and what the dense one does are pooled by the same weights,
    and the second set of parameters, where there is one, is never trained.
    Breaks when: one aggregator is called twice, or built once and put in both places.
    Remedy: build two, `sparse_aggregation` and `dense_aggregation`.
    """
    dense = other_score(probe)
    there = branched(probe, probe.score.detach(), dense)
    back = branched(probe, dense, probe.score.detach())
    if (there - back).abs().amax() <= WEIGHT * there.abs().amax():
        raise Violation(
            "branches(tokens, s, d) = branches(tokens, d, s), but should differ: both branches are pooled by one "
            "aggregation",
            check=(there - back).abs().amax() > WEIGHT * there.abs().amax(),
        )
