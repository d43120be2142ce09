"""The oracle against torch in float64: forwards written out plainly, gradients from autograd, cotangents random."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn import functional

from sdtps_ref.golden import oracle, oracle_functions, oracle_scoring

TAU = 0.7
HIDDEN = 6

# B N K M C: an ordinary one, then K = 1, K = N, N = 1, B = 1 with M = 1, B = N, and N past torch's stable small sort.
SIZES = [(2, 9, 5, 3, 8), (3, 6, 1, 2, 5), (2, 6, 6, 4, 7), (2, 1, 1, 2, 4), (1, 7, 3, 1, 6), (4, 4, 2, 2, 3)]
SIZES += [(2, 40, 17, 8, 10)]
sizes = pytest.mark.parametrize("size", SIZES, ids=lambda size: "B{}-N{}-K{}-M{}-C{}".format(*size))


@dataclass(frozen=True)
class Case:
    """Random float64 tensors of one size; `mlp` holds the SlotParameters by name."""

    keep: int
    tokens: Tensor  # B N C
    score: Tensor  # B N
    gumbel_noise: Tensor  # B N
    aggregation_logits: Tensor  # B M K
    cotangent: Tensor  # B M C
    mlp: dict[str, Tensor]

    @property
    def parameters(self) -> oracle.SlotParameters:
        w = self.mlp
        return oracle.SlotParameters(
            norm_weight=w["norm_weight"],
            norm_bias=w["norm_bias"],
            hidden_weight=w["hidden_weight"],
            hidden_bias=w["hidden_bias"],
            slots_weight=w["slots_weight"],
            slots_bias=w["slots_bias"],
            scale=1.3,
        )


def draw(size: tuple[int, ...]) -> Case:
    B, N, K, M, C = size
    torch_random = torch.Generator().manual_seed(N)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=torch_random, dtype=torch.float64)

    noise = -torch.log(-torch.log(torch.rand(B, N, generator=torch_random, dtype=torch.float64)))
    mlp = {"norm_weight": normal(C), "norm_bias": normal(C), "hidden_weight": normal(HIDDEN, C)}
    mlp |= {"hidden_bias": normal(HIDDEN), "slots_weight": normal(M, HIDDEN), "slots_bias": normal(M)}
    return Case(K, 2 + normal(B, N, C), normal(B, N), noise, normal(B, M, K), normal(B, M, C), mlp)


def torch_mlp(case: Case, x: Tensor) -> Tensor:
    normed = functional.layer_norm(x, x.shape[-1:], case.mlp["norm_weight"], case.mlp["norm_bias"], eps=1e-5)
    hidden = functional.gelu(functional.linear(normed, case.mlp["hidden_weight"], case.mlp["hidden_bias"]))
    return 1.3 * functional.linear(hidden, case.mlp["slots_weight"], case.mlp["slots_bias"]).transpose(1, 2)


def torch_pipeline(case: Case, tokens: Tensor, score: Tensor, logits: Tensor | None, mask: str) -> dict[str, Tensor]:
    soft = functional.softmax((score + case.gumbel_noise) / TAU, dim=1)
    kept = torch.sort(score.detach(), dim=1, descending=True, stable=True).indices[:, : case.keep]
    hard = torch.zeros_like(score).scatter(1, kept, 1.0)
    decision = hard + (soft - soft.detach())
    v_s = torch.stack([row[index] for row, index in zip(tokens, kept, strict=True)])
    d_s = decision.gather(1, kept)
    logits = torch_mlp(case, v_s) if logits is None else logits
    masked = logits + (torch.log(d_s) if mask == "log" else -(1 - d_s) * 1e10)[:, None, :]
    w = functional.softmax(masked, dim=-1)
    stages = {"soft_mask": soft, "keep_indices": kept, "decision": decision, "selected_tokens": v_s}
    stages |= {"selected_decision": d_s, "aggregation_logits": logits, "weights": w}
    return stages | {"aggregated_tokens": torch.bmm(w, v_s)}


def assert_same(actual: oracle_functions.Array | oracle.Indices, expected: Tensor, name: str = "") -> None:
    """Equal to 1e-10 of each entry, or 1e-13 of the largest where an entry is a difference that nearly cancels.

    Shape and dtype too, which numpy itself can be asked for only from 2.0 on.
    """
    reference = expected.detach().numpy()
    atol = 1e-13 * np.abs(reference).max()
    assert (actual.shape, actual.dtype) == (reference.shape, reference.dtype), name
    np.testing.assert_allclose(actual, reference, rtol=1e-10, atol=atol, err_msg=name)


@sizes
@pytest.mark.parametrize("source", ["given logits", "mlp"])
def test_forward_equals_torch(size: tuple[int, ...], source: str) -> None:
    """Every intermediate of the pipeline is what a plain torch float64 computation gives."""
    case = draw(size)
    logits = case.aggregation_logits if source == "given logits" else None
    expected = torch_pipeline(case, case.tokens, case.score, logits, "log")

    actual = oracle.pipeline(
        case.tokens,
        case.score,
        case.gumbel_noise,
        keep=case.keep,
        tau=TAU,
        aggregation_logits=case.parameters if logits is None else logits.numpy(),
    )

    assert expected.keys() == {field.name for field in fields(actual)}
    for name, value in expected.items():
        assert_same(getattr(actual, name), value, name)


@sizes
@pytest.mark.parametrize(("mask", "gain"), [("log", 1.0), ("subtract", 1e10)])
@pytest.mark.parametrize("source", ["given logits", "mlp"])
def test_gradients_equal_autograd(size: tuple[int, ...], mask: str, gain: float, source: str) -> None:
    """The closed forms are torch.autograd's gradients, for both masks, with logits that are given or computed."""
    case = draw(size)
    tokens, score = case.tokens.clone().requires_grad_(), case.score.clone().requires_grad_()
    given = case.aggregation_logits.clone().requires_grad_() if source == "given logits" else None
    stages = torch_pipeline(case, tokens, score, given, mask)
    inputs = [score, tokens, stages["aggregation_logits"], stages["decision"]]
    expected = torch.autograd.grad(stages["aggregated_tokens"], inputs, case.cotangent)
    parameters = case.parameters if given is None else None
    logits = case.aggregation_logits.numpy() if parameters is None else parameters
    result = oracle.pipeline(
        case.tokens, case.score, case.gumbel_noise, keep=case.keep, tau=TAU, aggregation_logits=logits
    )

    actual = oracle.pipeline_gradients(result, case.cotangent, tau=TAU, gain=gain, parameters=parameters)

    for name, value in zip(["score", "tokens", "aggregation_logits", "decision"], expected, strict=True):
        assert value.any() or (name != "tokens" and case.keep == 1), f"zeros would pass for {name}"
        assert_same(getattr(actual, name), value, name)


def test_gradients_of_a_nearly_hard_soft_mask_keep_their_digits() -> None:
    """With two tokens d score is p0 p1 (dD0 - dD1) / tau, to full precision where p1 is 1e-17 and 1 - p0 is zero."""
    tokens, score = [[[1.0], [3.0]]], [[39.0, 0.0]]
    result = oracle.pipeline(tokens, score, [[0.0, 0.0]], keep=2, tau=1.0, aggregation_logits=np.zeros((1, 1, 2)))

    actual = oracle.pipeline_gradients(result, [[[2.0]]], tau=1.0)

    # Uniform weights: output 2, so d logits = dD = cotangent * (1/2) * (token - output) = (-1, 1).
    slope = math.exp(-39) / (1 + math.exp(-39)) ** 2
    np.testing.assert_allclose(actual.score, [[-2 * slope, 2 * slope]], rtol=1e-14, atol=0)


def test_hand_computed_example() -> None:
    """Three tokens of one channel, two kept, one slot: every number below was worked out on paper."""
    tokens, score, noise = [[[4.0], [100.0], [8.0]]], [[2.0, 0.0, 3.0]], [[math.log(2) - 2, 0.0, -3.0]]
    logits = [[[math.log(3), 0.0]]]  # weights 3/4 for token 2, 1/4 for token 0

    result = oracle.pipeline(tokens, score, noise, keep=2, tau=1.0, aggregation_logits=logits)
    gradients = oracle.pipeline_gradients(result, [[[2.0]]], tau=1.0, gain=10.0)

    close = partial(np.testing.assert_allclose, rtol=1e-14, atol=1e-14)
    np.testing.assert_array_equal(result.keep_indices, [[2, 0]])
    np.testing.assert_array_equal(result.decision, [[1.0, 0.0, 1.0]])
    close(result.soft_mask, [[0.5, 0.25, 0.25]])
    close(result.aggregated_tokens, [[[7.0]]])  # 3/4 * 8 + 1/4 * 4
    close(gradients.aggregation_logits, [[[1.5, -1.5]]])  # 2 * W * (token - 7)
    close(gradients.decision, [[-15.0, 0.0, 15.0]])
    close(gradients.tokens, [[[0.5], [0.0], [1.5]]])
    # p . dD = -7.5 + 3.75 = -3.75, and p * (dD + 3.75):
    close(gradients.score, [[-5.625, 0.9375, 4.6875]])


def test_gumbel_noise() -> None:
    """-log(-log U): exact at U = 1/e and 1/e^e, the density's mean is Euler's gamma, and the ends are refused."""
    uniform = (np.arange(200_000) + 0.5) / 200_000

    noise = oracle.gumbel_noise(uniform)

    np.testing.assert_allclose(oracle.gumbel_noise([math.exp(-1), math.exp(-math.e)]), [0, -1], rtol=1e-14, atol=1e-15)
    assert noise.mean() == pytest.approx(0.5772156649, abs=1e-4)
    for end in (0.0, 1.0):
        with pytest.raises(ValueError, match="between 0 and 1"):
            oracle.gumbel_noise([0.5, end])


@pytest.mark.parametrize("keep", [1, 7, 40])
def test_ties_go_to_the_lower_position(keep: int) -> None:
    """Among equal scores the lower position is kept, also past N = 16, where an unstable sort would show."""
    score = np.random.default_rng(0).integers(0, 3, size=(5, 40)).astype(np.float64)
    expected = [[n for _, n in sorted(zip(-row, range(40), strict=True))[:keep]] for row in score]

    actual = oracle.keep_indices(score, keep)

    assert actual.dtype == np.int64
    np.testing.assert_array_equal(actual, expected)
    assert oracle.hard_mask(actual, 40).sum() == 5 * keep


@sizes
def test_extra_token(size: tuple[int, ...]) -> None:
    """The extra token is the softmax-weighted mean of the dropped tokens, and zero when nothing is dropped."""
    case = draw(size)
    kept = oracle.keep_indices(case.score, case.keep)
    dropped = [sorted(set(range(size[1])) - set(row)) for row in kept.tolist()]
    expected = torch.stack([
        (functional.softmax(s[d], dim=0)[:, None] * v[d]).sum(dim=0, keepdim=True)
        for v, s, d in zip(case.tokens, case.score, dropped, strict=True)
    ])  # fmt: skip

    actual = oracle.extra_token(case.tokens, case.score, kept)

    assert_same(actual, expected)


def test_weights_with_a_decision() -> None:
    """Where the decision is 0 the weight is exactly 0 and the others are the softmax of the others alone."""
    logits = torch.randn(2, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 900
    decision = np.array([[1, 0, 1, 1, 0], [0, 1, 0, 0, 0]])

    actual = oracle.weights(logits, decision)

    assert (actual[decision[:, None, :].repeat(3, axis=1) == 0] == 0).all()
    assert_same(actual[0][:, [0, 2, 3]], functional.softmax(logits[0][:, [0, 2, 3]], dim=-1))
    assert (actual[1, :, 1] == 1).all()
    assert_same(oracle.weights(logits), functional.softmax(logits, dim=-1))


def test_gelu_keeps_its_digits_in_the_lower_tail() -> None:
    """gelu(-10) = -10 Phi(-10), where x / 2 * (1 + erf(x / sqrt 2)) is zero (Phi from tables of the normal law)."""
    actual = oracle_functions.gelu([-10.0, 0.0, 10.0])

    np.testing.assert_allclose(actual, [-7.619853024160527e-23, 0.0, 10.0], rtol=1e-12)


def test_scoring_equals_torch() -> None:
    """Predicted score, both relevances, min-max and their sum are what torch float64 gives."""
    case, random = draw((2, 9, 5, 3, 8)), torch.Generator().manual_seed(1)
    w1, b1, w2, b2, e = (
        torch.randn(*shape, generator=random, dtype=torch.float64) for shape in [(2, 8), (2,), (1, 2), (1,), (2, 8)]
    )
    v = 20 * case.tokens  # wide enough to reach both tails of the sigmoid and the GELU
    predicted = torch.sigmoid(functional.linear(functional.gelu(functional.linear(v, w1, b1)), w2, b2)).squeeze(-1)
    dots = torch.bmm(v, e[:, :, None]).squeeze(-1) / 8
    spread = (dots - dots.amin(1, keepdim=True)) / (dots.amax(1, keepdim=True) - dots.amin(1, keepdim=True))

    parameters = oracle_scoring.ScoreParameters(w1, b1, w2, b2)
    actual = oracle_scoring.predicted_score(v, parameters)

    np.testing.assert_allclose(actual, predicted, rtol=1e-10, atol=1e-300)
    assert_same(oracle_scoring.relevance(v, e), dots)
    assert_same(oracle_scoring.cosine_relevance(v, e), functional.cosine_similarity(v, e[:, None, :], dim=-1))
    assert_same(oracle_scoring.min_max(dots), spread)
    assert_same(
        oracle_scoring.score(predicted, dots, spread, e[:, :1], beta=0.2),
        0.6 * predicted + 0.2 * dots + 0.2 * spread + 0.4 * e[:, :1],
    )


def test_cosine_relevance_of_zero_vectors_is_zero() -> None:
    """A zero token or feature has relevance 0, as in torch, not 0 / 0."""
    tokens, feature = np.array([[[0.0, 0.0], [3.0, 4.0]], [[1.0, 2.0], [3.0, 4.0]]]), np.array([[1.0, 0.0], [0.0, 0.0]])

    actual = oracle_scoring.cosine_relevance(tokens, feature)

    np.testing.assert_allclose(actual, [[0.0, 0.6], [0.0, 0.0]], rtol=1e-14)


def test_min_max_has_a_floor() -> None:
    """A row that spans less than the floor is divided by the floor: constant rows become zeros, not 0 / 0."""
    rows = [[5.0, 5.0, 5.0], [0.0, 1e-4, 5e-4], [1.0, 2.0, 5.0]]

    actual = oracle_scoring.min_max(rows)

    np.testing.assert_allclose(actual, [[0.0, 0.0, 0.0], [0.0, 0.1, 0.5], [0.0, 0.25, 1.0]], rtol=1e-14)


def run_tiny(score: ArrayLike = ((1.0, 2.0),), cotangent: ArrayLike = (((1.0, 2.0),),)) -> oracle.Gradients:
    case = draw((1, 2, 1, 1, 2))
    noise = np.zeros_like(score)
    result = oracle.pipeline(case.tokens, score, noise, keep=1, tau=1.0, aggregation_logits=case.parameters)
    return oracle.pipeline_gradients(result, cotangent, tau=1.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: oracle.keep_indices([[1.0, 2.0]], 3), "between 1 and the 2 tokens"),
        (lambda: oracle.keep_indices([[1.0, 2.0]], 0), "between 1 and the 2 tokens"),
        (lambda: oracle.soft_mask([[1.0, 2.0]], [[0.0, 0.0]], 0.0), "tau must be positive"),
        (lambda: oracle.soft_mask([[1.0, 2.0]], [[0.0]], 1.0), "gumbel_noise must have shape"),
        (lambda: oracle.weights([[[1.0, 2.0]]], [[1.0, 0.5]]), "only 0 and 1"),
        (lambda: oracle.weights([[[1.0, 2.0]]], [[0.0, 0.0]]), "at least one 1"),
        (lambda: oracle.weights([[[1.0, 2.0]]], [[1.0]]), "decision must have shape"),
        (lambda: oracle.weights([[1.0, 2.0]]), "axes B M K"),
        (lambda: run_tiny(score=[[1.0]]), "score must have shape"),
        (lambda: run_tiny(cotangent=[[[1.0]]]), "cotangent must have shape"),
    ],
)
def test_wrong_input_is_refused(call: Callable[[], object], message: str) -> None:
    """What numpy would broadcast or turn into NaN is refused with a message that says what is accepted."""
    with pytest.raises(ValueError, match=message):
        call()


def test_oracle_imports_no_torch() -> None:
    """With torch made unimportable, the oracle's files load and run from themselves alone."""
    script = """
import importlib.util, sys, types
sys.modules["torch"] = None
for package in ("sdtps_ref", "sdtps_ref.golden"):
    sys.modules[package] = types.ModuleType(package)
for path in sys.argv[1:]:
    name = "sdtps_ref.golden." + path.replace("\\\\", "/").rsplit("/", 1)[1][:-3]
    spec = importlib.util.spec_from_file_location(name, path)
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
oracle = sys.modules["sdtps_ref.golden.oracle"]
print(oracle.soft_mask([[1.0, 1.0]], [[0.0, 0.0]], 1.0).tolist())
"""
    files = [str(Path(str(module.__file__)).resolve()) for module in (oracle_functions, oracle, oracle_scoring)]

    done = subprocess.run([sys.executable, "-c", script, *files], capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (0, "[[0.5, 0.5]]\n"), done.stderr
