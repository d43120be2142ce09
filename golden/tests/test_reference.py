"""The reference against the oracle, in float64, and what its docstrings promise."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sdtps_ref import (
    MultiModalSDTPS,
    ScorePredictor,
    TokenAggregation,
    TokenSparse,
    TwoBranchSDTPS,
    aggregation,
    decision,
    noise,
    scoring,
    selection,
)
from sdtps_ref.golden import oracle, oracle_scoring
from sdtps_ref.properties.reference import Reference

# B N K M C: an ordinary one, then K = 1, K = N, N = 1 with B = 1, and K < M.
SIZES = [(2, 9, 5, 3, 8), (3, 6, 1, 2, 4), (2, 6, 6, 4, 8), (1, 1, 1, 2, 4), (2, 40, 3, 7, 12)]
sizes = pytest.mark.parametrize("size", SIZES, ids=lambda size: "B{}-N{}-K{}-M{}-C{}".format(*size))
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def assert_close(seen: Tensor, owed: Any, relative: float = 1e-9) -> None:
    owed = torch.as_tensor(np.asarray(owed))
    torch.testing.assert_close(seen.detach(), owed, rtol=relative, atol=relative * max(1.0, float(owed.abs().max())))


def slot_parameters(module: TokenAggregation) -> oracle.SlotParameters:
    norm, hidden, _, slots = module.logits
    found = [norm.weight, norm.bias, hidden.weight, hidden.bias, slots.weight, slots.bias]
    return oracle.SlotParameters(*(p.detach().numpy() for p in found), scale=module.scale.item())


def score_parameters(module: ScorePredictor) -> oracle_scoring.ScoreParameters:
    found = [module.layers[0].weight, module.layers[0].bias, module.layers[2].weight, module.layers[2].bias]
    return oracle_scoring.ScoreParameters(*(p.detach().numpy() for p in found))


def the_uniforms(seed: int, *shape: int) -> Tensor:
    """What torch's global generator draws after `manual_seed(seed)`."""
    torch.manual_seed(seed)
    return torch.rand(shape, dtype=torch.float64)


def stirred(module: nn.Module) -> nn.Module:
    """In float64, with no parameter at zero or one."""
    module.double()
    for i, parameter in enumerate(module.parameters()):
        parameter.data += 0.3 * normal(*parameter.shape, seed=i)
    return module


# Noise and decision.


def test_noise_is_the_oracles() -> None:
    """-log(-log U) agrees with the oracle to float64's precision."""
    uniform = torch.rand(1000, dtype=torch.float64).clamp(1e-12, 1 - 1e-12)

    assert_close(noise.gumbel_from_uniform(uniform), oracle.gumbel_noise(uniform), 1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_noise_is_finite(dtype: torch.dtype) -> None:
    """For uniforms of 0, 1, the smallest and the largest that there are, in every dtype; and it rises with them."""
    limits = torch.finfo(dtype)
    ends = [0.0, limits.smallest_normal / 4, limits.tiny, 0.5, 1 - limits.eps / 2, 1.0]

    found = noise.gumbel_from_uniform(torch.tensor(ends, dtype=dtype))

    assert found.dtype == dtype
    assert found.isfinite().all()
    assert (found.diff() >= 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_noise_does_not_follow_strides(dtype: torch.dtype) -> None:
    """One seed gives one noise, on a transposed score as on a contiguous one."""
    score = torch.zeros(4, 6, dtype=dtype)
    drawn = []
    for laid_out in (score, score.t().contiguous().t()):
        torch.manual_seed(3)
        drawn.append(noise.gumbel_noise(laid_out))

    assert torch.equal(*drawn)


@pytest.mark.parametrize("dtype", DTYPES)
def test_decision_is_hard_to_the_bit(dtype: torch.dtype) -> None:
    """Forward, the straight-through sum is the hard mask."""
    soft = torch.rand(50, 40).to(dtype).softmax(-1)
    hard = (torch.rand(50, 40) > 0.5).to(dtype)

    assert torch.equal(decision.straight_through(hard, soft), hard)


# Selection.


def test_five_in_order() -> None:
    """TokenSparse returns a named tuple of five, in the published order."""
    found = TokenSparse(4, 0.5)(normal(2, 6, 4), normal(2, 6))

    names = ("selected_tokens", "extra_token", "decision", "selected_decision", "keep_indices")
    assert found._fields == names
    assert [tuple(part.shape) for part in found] == [(2, 3, 4), (2, 1, 4), (2, 6), (2, 3), (2, 3)]
    assert found.keep_indices.dtype == torch.int64


@pytest.mark.parametrize(("tokens", "ratio", "kept"), [(100, 0.07, 7), (10, 0.1 + 0.2, 3), (10, 0.31, 4), (5, 1e-9, 1)])
def test_kept_count_is_a_ceiling_without_float_error(tokens: int, ratio: float, kept: int) -> None:
    """K = ceil(N * ratio), and float error never adds a token."""
    assert selection.kept_count(tokens, ratio) == kept


def test_every_count_can_be_given_as_a_ratio() -> None:
    """kept_count(N, K / N) = K for every K of every N up to 300."""
    wrong = [(n, k) for n in range(1, 301) for k in range(1, n + 1) if selection.kept_count(n, k / n) != k]

    assert wrong == []


@pytest.mark.parametrize(("n", "keep", "slots"), [(196, 0.5, 39), (128, 0.5, 25), (100, 0.725, 29), (3, 0.4, 1)])
def test_slot_count(n: int, keep: float, slots: int) -> None:
    """M = int(N * keep_ratio * aggr_ratio), and float error never takes one away."""
    assert aggregation.slot_count(n, keep, 0.4) == slots


@sizes
def test_selection_is_the_oracles(size: tuple[int, ...]) -> None:
    """Every part of the selection, and the gradient of D, for the noise that was drawn."""
    B, N, K, _, C = size
    tokens, score, cotangent = normal(B, N, C), normal(B, N, seed=1).requires_grad_(), normal(B, N, seed=2)
    drawn = oracle.gumbel_noise(the_uniforms(5, B, N))
    kept = oracle.keep_indices(score.detach(), K)
    soft = oracle.soft_mask(score.detach(), drawn, 0.7)

    torch.manual_seed(5)
    found = TokenSparse(C, K / N, 0.7)(tokens, score)
    (gradient,) = torch.autograd.grad(found.decision, score, cotangent)

    assert np.array_equal(found.keep_indices.numpy(), kept)
    assert np.array_equal(found.decision.detach().numpy(), oracle.hard_mask(kept, N))
    assert np.array_equal(found.selected_tokens.numpy(), oracle.selected_tokens(tokens, kept))
    assert (found.selected_decision == 1).all()
    assert_close(found.extra_token, oracle.extra_token(tokens, score.detach(), kept))
    mean = (soft * cotangent.numpy()).sum(-1, keepdims=True)
    assert_close(gradient, soft * (cotangent.numpy() - mean) / 0.7)


def test_extra_token_is_zero_when_nothing_is_dropped() -> None:
    """K = N: exactly zero."""
    found = TokenSparse(4, 1.0)(normal(2, 6, 4), normal(2, 6))

    assert not found.extra_token.any()


def test_eval_mode_is_noiseless_and_still_differentiable() -> None:
    """In eval mode two seeds give one gradient, that of the plain softmax."""
    tokens, score, cotangent = normal(2, 6, 4), normal(2, 6, seed=1).requires_grad_(), normal(2, 6, seed=2)
    selector = TokenSparse(4, 0.5, 0.7).eval()
    owed = torch.autograd.grad((score / 0.7).softmax(-1), score, cotangent)[0]

    for seed in (0, 1):
        torch.manual_seed(seed)
        assert_close(torch.autograd.grad(selector(tokens, score).decision, score, cotangent)[0], owed)


def test_own_generator_leaves_the_global_one_alone() -> None:
    """Noise from an explicit generator is repeatable, and torch's global state is untouched."""
    before = torch.get_rng_state()
    draws = [noise.gumbel_noise(torch.zeros(2, 5), torch.Generator().manual_seed(9)) for _ in range(2)]

    assert torch.equal(*draws)
    assert torch.equal(torch.get_rng_state(), before)


# Aggregation.


@sizes
@pytest.mark.parametrize(("mask", "gain"), [("subtract", 1e10), ("log", 1.0)])
def test_pipeline_is_the_oracles(size: tuple[int, ...], mask: aggregation.Mask, gain: float) -> None:
    """Pooled tokens, and the gradients to score and tokens through the MLP, with either mask."""
    B, N, K, M, C = size
    tokens, score = normal(B, N, C).requires_grad_(), normal(B, N, seed=1).requires_grad_()
    cotangent = normal(B, M, C, seed=2)
    pool = stirred(TokenAggregation(C, M, mask=mask))
    drawn = oracle.gumbel_noise(the_uniforms(5, B, N))
    weights = slot_parameters(pool)
    owed = oracle.pipeline(tokens.detach(), score.detach(), drawn, keep=K, tau=0.7, aggregation_logits=weights)
    gradients = oracle.pipeline_gradients(owed, cotangent, tau=0.7, gain=gain, parameters=weights)

    torch.manual_seed(5)
    chosen = TokenSparse(C, K / N, 0.7)(tokens, score)
    pooled = pool(chosen.selected_tokens, chosen.selected_decision)
    to_score, to_tokens = torch.autograd.grad(pooled, (score, tokens), cotangent)

    assert_close(pool.aggregation_logits(chosen.selected_tokens), owed.aggregation_logits)
    assert_close(pooled, owed.aggregated_tokens)
    assert_close(to_score / gain, gradients.score / gain)
    assert_close(to_tokens, gradients.tokens)


def test_masks_differ_by_their_gain_only() -> None:
    """At D = 1 both masks give the same bits, and gradients 1e10 apart along one line."""
    found, directions = [], []
    for mask in aggregation.MASKS.values():
        ones = torch.ones(2, 7, dtype=torch.float64, requires_grad=True)
        masked = mask(normal(2, 3, 7), ones)
        found.append(masked.detach())
        pooled = masked.softmax(-1) @ normal(2, 7, 5, seed=1)
        directions.append(torch.autograd.grad(pooled, ones, normal(2, 3, 5, seed=2))[0].flatten())

    assert torch.equal(found[0], normal(2, 3, 7))
    assert torch.equal(*found)
    assert_close(directions[0] / 1e10, directions[1])
    assert torch.cosine_similarity(*directions, dim=0) > 1 - 1e-12


def test_log_mask_drops_with_a_finite_gradient() -> None:
    """Where D = 0 the weight is exactly zero, and every gradient finite."""
    hard = torch.tensor([[1.0, 0.0, 1.0, 0.0]], dtype=torch.float64, requires_grad=True)
    logits = normal(1, 2, 4).requires_grad_()

    weights = aggregation.log_mask(logits, hard).softmax(-1)
    gradients = torch.autograd.grad(weights, (logits, hard), normal(1, 2, 4, seed=1))

    assert not weights[..., 1::2].any()
    assert all(gradient.isfinite().all() for gradient in gradients)


# Scoring.


def test_scoring_is_the_oracles() -> None:
    """Equations 1 to 3: predicted significance, both relevances, the sum."""
    tokens, image, sparse, dense = normal(2, 9, 8), normal(2, 8, seed=1), normal(2, 8, seed=2), normal(2, 8, seed=3)
    predictor = stirred(ScorePredictor(8))
    predicted = oracle_scoring.predicted_score(tokens, score_parameters(predictor))
    dots = [oracle_scoring.min_max(oracle_scoring.relevance(tokens, e)) for e in (sparse, dense, image)]
    cosines = oracle_scoring.min_max(oracle_scoring.cosine_relevance(tokens, image, eps=scoring.SPREAD_FLOOR))

    assert_close(predictor(tokens), predicted)
    assert_close(scoring.dot_relevance(tokens, image), dots[2])
    assert_close(scoring.cosine_relevance(tokens, image), cosines)
    combined = scoring.combine_scores(
        predictor(tokens),
        scoring.dot_relevance(tokens, image),
        [scoring.dot_relevance(tokens, sparse), scoring.dot_relevance(tokens, dense)],
    )
    assert_close(combined, oracle_scoring.score(predicted, *dots))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("relevance", [scoring.dot_relevance, scoring.cosine_relevance])
def test_constant_rows_have_a_bounded_gradient(relevance: Callable[..., Tensor], dtype: torch.dtype) -> None:
    """Tokens that are all the same: relevance is zero throughout, and its slope is 1 / SPREAD_FLOOR at most."""
    tokens = torch.ones(2, 6, 4, dtype=dtype, requires_grad=True)
    found = relevance(tokens, normal(2, 4).to(dtype))
    (gradient,) = torch.autograd.grad(found, tokens, normal(2, 6, seed=1).to(dtype))

    assert not found.any()
    assert gradient.isfinite().all()
    assert gradient.abs().max() < 10 / scoring.SPREAD_FLOOR


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_zero_tokens_have_a_bounded_gradient(dtype: torch.dtype) -> None:
    """Padding: both floors of a cosine at once make a slope of 1e6 at most (more than float16 holds)."""
    tokens = torch.zeros(2, 6, 4, dtype=dtype, requires_grad=True)
    found = scoring.cosine_relevance(tokens, normal(2, 4).to(dtype))
    (gradient,) = torch.autograd.grad(found, tokens, normal(2, 6, seed=1).to(dtype))

    assert not found.any()
    assert gradient.isfinite().all()
    assert gradient.abs().max() < 10 / scoring.SPREAD_FLOOR**2


# The modules on top.


def test_two_branches_are_two_pipelines() -> None:
    """Equation 4: the sum of two pipelines, each with its own score, noise and weights."""
    tokens, scores = normal(2, 10, 8), (normal(2, 10, seed=1), normal(2, 10, seed=2))
    module = stirred(TwoBranchSDTPS(8, 10, 0.5, slots=3))
    torch.manual_seed(5)
    found = module(tokens, *scores)

    torch.manual_seed(5)
    owed = 0
    for score, pool in zip(scores, (module.sparse_aggregation, module.dense_aggregation), strict=True):
        drawn = oracle.gumbel_noise(torch.rand(2, 10, dtype=torch.float64))
        one = oracle.pipeline(tokens, score, drawn, keep=5, tau=1.0, aggregation_logits=slot_parameters(pool))
        owed = owed + one.aggregated_tokens

    assert_close(found.aggregated_tokens, owed)
    assert not torch.equal(found.sparse.decision, found.dense.decision)


@pytest.mark.parametrize("names", [("one",), ("rgb", "nir"), ("rgb", "nir", "tir"), ("a.b", "keys", "", "3", "rgb")])
def test_modalities_are_the_oracles(names: tuple[str, ...]) -> None:
    """Each modality's slots and extra token, from its own score with every feature in it; any names, K < M."""
    tokens = {name: normal(2, 9, 8, seed=10 + i) for i, name in enumerate(names)}
    features = {name: normal(2, 8, seed=20 + i) for i, name in enumerate(names)}
    module = stirred(MultiModalSDTPS(8, 9, 3 / 9, modalities=names, slots=4)).eval()

    found = module(tokens, features)

    assert tuple(found.tokens) == tuple(found.decisions) == names
    for name, branch in zip(names, module.branches, strict=True):
        similar = {
            other: oracle_scoring.min_max(oracle_scoring.cosine_relevance(tokens[name], feature, eps=1e-3))
            for other, feature in features.items()
        }
        predicted = oracle_scoring.predicted_score(tokens[name], score_parameters(branch.predictor))
        score = 0.5 * predicted + 0.25 * (sum(similar.values()) + similar[name])
        logits = slot_parameters(branch.aggregation)
        one = oracle.pipeline(tokens[name], score, np.zeros((2, 9)), keep=3, tau=1.0, aggregation_logits=logits)
        assert np.array_equal(found.decisions[name].detach().numpy(), one.decision)
        extra = oracle.extra_token(tokens[name], score, one.keep_indices)
        assert_close(found.tokens[name], np.concatenate([one.aggregated_tokens, extra], axis=1))


@pytest.mark.parametrize("counts", [(6, 2, 5), (7, 7, 1), (1, 1, 3)])
def test_contract_gives_exactly_the_counts_asked_for(counts: tuple[int, int, int]) -> None:
    """N, K and M of every factory are those that were asked for, M above K among them."""
    N, K, M = counts
    asked = {"dim": 8, "num_tokens": N, "keep": K, "slots": M, "tau": 1.0}
    module, inputs = Reference().model(**asked)
    tokens = {name: torch.randn(2, N, 8) for name in ("rgb", "nir")}
    features = {name: torch.randn(2, 8) for name in tokens}

    found = Reference().multimodal(modalities=("rgb", "nir"), **asked)(tokens, features)

    assert module(**inputs).shape == (4, M, 8)
    assert {name: tuple(pooled.shape) for name, pooled in found.items()} == {"rgb": (2, M + 1, 8), "nir": (2, M + 1, 8)}


@pytest.mark.parametrize(("dim", "slots", "score"), [(3, 1, 1), (4, 1, 1), (10, 2, 2), (14, 2, 3), (512, 102, 128)])
def test_hidden_widths_are_the_papers(dim: int, slots: int, score: int) -> None:
    """int(0.2 C) for the slots and C / 4 for the score, at least 1."""
    assert TokenAggregation(dim, 2).logits[1].out_features == slots
    assert ScorePredictor(dim).layers[0].out_features == score


@pytest.mark.parametrize("relevance", [scoring.dot_relevance, scoring.cosine_relevance])
def test_a_small_spread_counts_as_the_floor(relevance: Callable[..., Tensor]) -> None:
    """Where relevances differ by less than SPREAD_FLOOR, they are divided by it: C is in the answer then."""
    tokens = 1 + 1e-5 * normal(2, 9, 8)
    feature = normal(2, 8, seed=1)
    raw = oracle_scoring.relevance if relevance is scoring.dot_relevance else oracle_scoring.cosine_relevance

    found = relevance(tokens, feature)

    owed = oracle_scoring.min_max(raw(tokens, feature))
    assert owed.max() < 0.1
    assert_close(found, owed, 1e-7)
