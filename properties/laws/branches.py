"""Two texts, two scores, two decision matrices, two aggregations, one sum: equation 4."""

import numpy as np
import torch
from torch import Tensor

from sdtps_ref.properties.kit import values
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.expect import expect_close, expect_finite, expect_shape
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
    if pooled.dtype != case.torch_dtype:
        raise Violation(
            f"branches(...) is {pooled.dtype}, but should be {case.torch_dtype}",
            check=f"{probe.script.shown(pooled)}.dtype == {case.torch_dtype}",
        )
    expect_finite(probe, "branches(tokens, score_sparse, score_dense)", "bmc", pooled)


@law(needs="branches", depends="branches.shape_follows_inputs", domain=READABLE)
def is_the_sum_of_both(probe: Probe) -> None:
    """out = W_s @ V_s + W_d @ V_d: weights that sum to one over the tokens that score_sparse keeps, and to one over those
    that score_dense keeps; each branch's weights are its own affair.

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
        for name, own, foreign in zip(BRANCHES, kept, kept[::-1], strict=True):
            total = float(weights[b][:, own].sum(-1).mean())
            each = weights[b][:, own].sum(-1)
            if (each - 1).abs().amax() > WEIGHT:
                m = int((each - 1).abs().argmax())
                raise Violation(
                    f"the tokens that score_{name} keeps in sample b={b} weigh {float(each[m]):.4g} in slot m={m}, but "
                    f"should weigh 1 (they weigh {total:.4g} on average): the output is no sum of both branches",
                    check=f"abs({_solution(probe, pooled)}[{b}].mT[{m}, {own}].sum() - 1) <= {WEIGHT}",
                )
        nobody = [n for n in range(case.num_tokens) if n not in {*kept[0], *kept[1]}]
        if nobody and weights[b][:, nobody].abs().amax() > WEIGHT:
            raise Violation(
                f"tokens {nobody} of sample b={b} weigh up to {float(weights[b][:, nobody].abs().amax()):.4g}, but should "
                "weigh nothing: neither score keeps them",
                check=f"{_solution(probe, pooled)}[{b}].mT[:, {nobody}].abs().amax() <= {WEIGHT}",
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
                check=f"({_solution(probe, before)}[{b}].mT - {_solution(probe, after)}[{b}].mT)[:, {own}].abs().amax() "
                f"<= {WEIGHT}",
            )


@law(needs="branches", depends=("branches.is_the_sum_of_both", "gradient.is_finite"), domain=READABLE)
def decision_acts_in_its_own_branch(probe: Probe) -> None:
    """d out/d score_s = (gain / tau) p_n (H_n - H p), p the soft mask of the sparse branch and H made of its own kept tokens
    and weights; and so for the dense one, with the same gain.

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
    flat = combinations.reshape(COMBINATIONS, case.batch, -1).cpu().numpy()
    gains = {}
    for name, score in zip(BRANCHES, scores, strict=True):
        products = probe.products(pooled, score, combinations).cpu().numpy()  # B count N
        rates = []
        for b in range(case.batch):
            kept = score[b].detach().topk(case.keep).indices
            lever = _lever(weights[b], probe.tokens[b], kept)
            mask = fingerprint.soft_mask(products[b], flat[:, b] @ lever)
            if mask.saturated:
                continue
            if not mask.residual < STRUCTURE or not mask.rate > 0:
                _refuse(probe, name, pooled, score, b, bool(np.abs(products[b]).any()))
            rates.append(mask.rate * case.tau)
        if rates:
            gains[name] = float(np.median(rates))
    if len(gains) == 2 and abs(gains["sparse"] / gains["dense"] - 1) > 1e-2:
        low = min(gains, key=gains.__getitem__)
        score = scores[BRANCHES.index(low)]
        cotangent = probe.random(pooled)
        reached = probe.gradient(pooled, score, cotangent)
        raise Violation(
            f"the score of the {low} branch receives {gains[low]:.4g} times its gradient, but should receive as many times "
            f"as that of the other, {max(gains.values()):.4g}",
            check=f"{probe.script.shown(reached)}.norm() > {float(reached.norm()) * 1.01!r}",
        )


def _lever(weights: Tensor, tokens: Tensor, kept: Tensor) -> fingerprint.Array:
    """How the branch's own slots move with its D at gain one: M*C N, zero where dropped."""
    own, among = weights[:, kept].cpu().numpy(), tokens[kept].detach().cpu().numpy()
    lever = np.zeros((own.shape[0] * among.shape[1], tokens.shape[0]))
    lever[:, kept.cpu().numpy()] = fingerprint.pooling_lever(own, among, own @ among)
    return lever


def _refuse(probe: Probe, name: str, pooled: Tensor, score: Tensor, b: int, some: bool) -> None:
    reached = probe.gradient(pooled, score, probe.random(pooled))
    shown = probe.script.shown(reached)
    if not some:
        raise Violation(
            f"gradient of branches(...) to score_{name} is zero in sample b={b}, but should not be: the D of the {name} "
            "branch does not reach its aggregation",
            check=f"{shown}[{b}].any()",
        )
    raise Violation(
        f"gradient of branches(...) to score_{name} in sample b={b} is explained by no soft mask over its own branch's "
        "tokens: the other branch, or another D, acts in it",
        check="False",
    )


@law(needs="branches", depends="branches.decision_acts_in_its_own_branch", domain=Domain(fixed=READABLE.fixed[:1]))
def have_their_own_aggregation(probe: Probe) -> None:
    """branches(tokens, s, d) is not branches(tokens, d, s): the two texts have two aggregations.

    Why: with one for both, what the sparse text asks for and what the dense one does are pooled by the same weights, and
    the second set of parameters, where there is one, is never trained.
    Breaks when: one aggregator is called twice, or built once and put in both places.
    Remedy: build two, `sparse_aggregation` and `dense_aggregation`.
    """
    dense = _other(probe)
    there = branched(probe, probe.score.detach(), dense)
    back = branched(probe, dense, probe.score.detach())
    if (there - back).abs().amax() <= WEIGHT * there.abs().amax():
        shown = [probe.script.shown(part) for part in (there, back)]
        raise Violation(
            "branches(tokens, s, d) = branches(tokens, d, s), but should differ: both branches are pooled by one aggregation",
            check=f"({shown[0]} - {shown[1]}).abs().amax() > {WEIGHT} * {shown[0]}.abs().amax()",
        )


@law(needs="branches", depends="branches.decision_acts_in_its_own_branch", domain=Domain(fixed=READABLE.fixed[::2]))
def noise_is_not_shared(probe: Probe) -> None:
    """Where both scores are the same, the two soft masks still differ in train mode: each branch draws noise of its own.

    Why: with one draw for both, the texts explore the same tokens at the same time.
    Breaks when: the noise is drawn once and handed to both, or each selector seeds a generator with the same number.
    Remedy: let each selector draw its own from torch's running generator.
    """
    case = probe.case
    same = [probe.score, probe.given("same_score", probe.score, requires_grad=True)]
    swapped = probe.given("apart", _other(probe), requires_grad=True)
    masks = {}
    for name, given in zip(BRANCHES, ((same[0], swapped), (swapped, same[1])), strict=True):
        pooled = branched(probe, *given)
        weights = _weights(probe, pooled)
        score = given[BRANCHES.index(name)]
        combinations = values.draw("normal", (COMBINATIONS, *pooled.shape), case.seed).to(pooled)
        products = probe.products(pooled, score, combinations).cpu().numpy()
        kept = score[0].detach().topk(case.keep).indices
        lever = _lever(weights[0], probe.tokens[0], kept)
        flat = combinations.reshape(COMBINATIONS, case.batch, -1).cpu().numpy()
        masks[name] = fingerprint.soft_mask(products[0], flat[:, 0] @ lever).probabilities
    plain = fingerprint.softmax(probe.score[0].detach().cpu().numpy() / case.tau)
    if np.abs(masks["sparse"] - plain).max() < 1e-6:
        return  # no noise at all is another law's
    if np.abs(masks["sparse"] - masks["dense"]).max() < 1e-6:
        raise Violation(
            f"from the same score and seed the soft masks of both branches are {masks['sparse'][:3].round(4).tolist()} ..., "
            "but should differ: the branches share one draw of noise",
            check="False",
        )


def _other(probe: Probe) -> Tensor:
    """Scores for the dense branch, which keep other tokens where there are enough: those of the sparse one, turned."""
    score = probe.score.detach()
    apart = probe.given("score_dense", -score, recipe=f"-({probe.script.shown(probe.score)}.detach())")
    return apart


def branched(probe: Probe, sparse: Tensor, dense: Tensor, **options: int) -> Tensor:
    """One call of the branches."""
    built = probe.build("branches")
    result = probe.call(built, probe.tokens, sparse, dense, name="pooled", **options)
    if not isinstance(result, Tensor):
        raise Violation(
            f"branches(...) returned {type(result).__name__}, but should return a Tensor B M C",
            check=f"isinstance({probe.script.last}, torch.Tensor)",
        )
    return result


def _weights(probe: Probe, pooled: Tensor) -> Tensor:
    """W (B M N) with pooled = W @ tokens; the columns of tokens are independent where C >= N."""
    solution = torch.linalg.lstsq(probe.tokens.detach().mT, pooled.detach().mT).solution  # B N M
    off = (probe.tokens.detach().mT @ solution - pooled.detach().mT).abs().amax()
    if off > STRUCTURE * float(pooled.detach().abs().amax()):
        raise Violation(
            f"branches(...) is {float(off):.3g} away from every combination of the tokens, but should be one",
            check=f"(tokens.mT @ {_solution(probe, pooled)} - {probe.script.shown(pooled)}.detach().mT).abs().amax() <= "
            f"{STRUCTURE} * {float(pooled.detach().abs().amax())}",
        )
    return solution.mT


def _solution(probe: Probe, pooled: Tensor) -> str:
    return f"torch.linalg.lstsq(tokens.mT, {probe.script.shown(pooled)}.detach().mT).solution"
