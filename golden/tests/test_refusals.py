"""What the reference refuses, in which words, and the arguments that it takes."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch

from sdtps_ref import (
    InvalidInput,
    MultiModalSDTPS,
    ScorePredictor,
    TokenAggregation,
    TokenSparse,
    TwoBranchSDTPS,
    scoring,
    selection,
)
from sdtps_ref.properties.reference import Reference

TOKENS, SCORE = torch.zeros(2, 6, 4), torch.zeros(2, 6)
NAN = torch.tensor([[0.0] * 6, [0.0, float("nan")] + [0.0] * 3 + [float("nan")]])
DROPPED = torch.tensor([[1.0] * 6, [0.0] * 5 + [-1.0], [0.0] * 6])
FEATURES = {"rgb": torch.zeros(2, 4), "nir": torch.zeros(2, 4)}
INF = float("inf")
VECTORS = "; accepted: a floating-point tensor of shape (2, 4), one vector a sample"


def modalities(tokens: Any = TOKENS, feature: Any = FEATURES["rgb"], **more: Any) -> Any:
    """One modality alone, given these."""
    return MultiModalSDTPS(4, 6, modalities=("rgb",))({"rgb": tokens, **more}, {"rgb": feature, **more})


# What is refused, and the words for it.
BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "keep of 0": (
        lambda: Reference().selector(dim=4, num_tokens=6, keep=0, tau=1.0),
        "given keep_ratio=0.0; accepted: a number in (0, 1]",
    ),
    "keep above N": (
        lambda: Reference().selector(dim=4, num_tokens=6, keep=7, tau=1.0),
        "given keep_ratio=1.1666666666666667; accepted: a number in (0, 1]",
    ),
    "ratio of 0": (lambda: TokenSparse(4, 0.0), "given keep_ratio=0.0; accepted: a number in (0, 1]"),
    "ratio below 0": (lambda: TokenSparse(4, -0.5), "given keep_ratio=-0.5; accepted: a number in (0, 1]"),
    "ratio above 1": (lambda: TokenSparse(4, 1.5), "given keep_ratio=1.5; accepted: a number in (0, 1]"),
    "ratio of NaN": (lambda: TokenSparse(4, float("nan")), "given keep_ratio=nan; accepted: a number in (0, 1]"),
    "tau of 0": (lambda: TokenSparse(4, 0.5, 0.0), "given tau=0.0; accepted: a finite number above 0"),
    "tau below 0": (lambda: TokenSparse(4, 0.5, -1.0), "given tau=-1.0; accepted: a finite number above 0"),
    "infinite tau": (lambda: TokenSparse(4, 0.5, INF), "given tau=inf; accepted: a finite number above 0"),
    "dim of 0": (lambda: ScorePredictor(0), "given dim=0; accepted: a whole number, 1 or more"),
    "half a dim": (lambda: TokenSparse(0.5), "given dim=0.5; accepted: a whole number, 1 or more"),
    "dim in a string": (lambda: TokenSparse("4"), "given dim='4'; accepted: a whole number, 1 or more"),
    "dim of True": (lambda: TokenSparse(True), "given dim=True; accepted: a whole number, 1 or more"),
    "dim of 0 to select from": (lambda: TokenSparse(0), "given dim=0; accepted: a whole number, 1 or more"),
    "dim of 0 to pool": (lambda: TokenAggregation(0, 2), "given dim=0; accepted: a whole number, 1 or more"),
    "slots of 0": (lambda: TokenAggregation(4, 0), "given slots=0; accepted: a whole number, 1 or more"),
    "half a slot": (lambda: TokenAggregation(4, 0.5), "given slots=0.5; accepted: a whole number, 1 or more"),
    "dim_ratio of 0": (lambda: TokenAggregation(4, 2, 0.0), "given dim_ratio=0.0; accepted: a finite number above 0"),
    "dim_ratio below 0": (
        lambda: TokenAggregation(4, 2, -0.2),
        "given dim_ratio=-0.2; accepted: a finite number above 0",
    ),
    "infinite dim_ratio": (
        lambda: TokenAggregation(4, 2, INF),
        "given dim_ratio=inf; accepted: a finite number above 0",
    ),
    "unknown mask": (lambda: TokenAggregation(4, 2, mask="add"), "given mask='add'; accepted: 'subtract' or 'log'"),
    "aggr_ratio above 1": (
        lambda: TwoBranchSDTPS(4, 6, aggr_ratio=2.0),
        "given aggr_ratio=2.0; accepted: a number in (0, 1]",
    ),
    "no tokens to come": (
        lambda: TwoBranchSDTPS(4, 0, slots=2),
        "given num_tokens=0; accepted: a whole number, 1 or more",
    ),
    "no tokens of a modality to come": (
        lambda: MultiModalSDTPS(4, 0, slots=2),
        "given num_tokens=0; accepted: a whole number, 1 or more",
    ),
    "no token to count": (
        lambda: selection.kept_count(0, 0.5),
        "given num_tokens=0; accepted: a whole number, 1 or more",
    ),
    "a ratio to count by": (lambda: selection.kept_count(4, 0.0), "given keep_ratio=0.0; accepted: a number in (0, 1]"),
    "integer tokens": (
        lambda: TokenSparse(4)(TOKENS.long(), SCORE),
        "given tokens of torch.int64; accepted: a floating-point tensor",
    ),
    "tokens in a list": (
        lambda: TokenSparse(4)([0.0], SCORE),
        "given tokens of list; accepted: a floating-point tensor",
    ),
    "one sample's tokens": (
        lambda: TokenSparse(4)(TOKENS[0], SCORE),
        "given tokens of shape (6, 4); accepted: B N C with N >= 1 and C = dim = 4",
    ),
    "tokens of four axes": (
        lambda: TokenSparse(4)(TOKENS[..., None], SCORE),
        "given tokens of shape (2, 6, 4, 1); accepted: B N C with N >= 1 and C = dim = 4",
    ),
    "no tokens": (
        lambda: TokenSparse(4)(TOKENS[:, :0], SCORE[:, :0]),
        "given tokens of shape (2, 0, 4); accepted: B N C with N >= 1 and C = dim = 4",
    ),
    "fewer channels": (
        lambda: TokenSparse(5)(TOKENS, SCORE),
        "given tokens of shape (2, 6, 4); accepted: B N C with N >= 1 and C = dim = 5",
    ),
    "more channels": (
        lambda: TokenSparse(3)(TOKENS, SCORE),
        "given tokens of shape (2, 6, 4); accepted: B N C with N >= 1 and C = dim = 3",
    ),
    "channels to predict from": (
        lambda: ScorePredictor(5)(TOKENS),
        "given tokens of shape (2, 6, 4); accepted: B N C with N >= 1 and C = dim = 5",
    ),
    "channels to pool": (
        lambda: TokenAggregation(5, 2)(TOKENS),
        "given tokens of shape (2, 6, 4); accepted: B N C with N >= 1 and C = dim = 5",
    ),
    "integer scores": (
        lambda: TokenSparse(4)(TOKENS, SCORE.long()),
        "given score of torch.int64; accepted: a floating-point tensor of shape (2, 6), one number a token",
    ),
    "scores in a list": (
        lambda: TokenSparse(4)(TOKENS, [0.0]),
        "given score of list; accepted: a floating-point tensor of shape (2, 6), one number a token",
    ),
    "a score too few": (
        lambda: TokenSparse(4)(TOKENS, SCORE[:, :5]),
        "given score of shape (2, 5); accepted: a floating-point tensor of shape (2, 6), one number a token",
    ),
    "a score too many": (
        lambda: TokenSparse(4)(TOKENS[:, :5], SCORE),
        "given score of shape (2, 6); accepted: a floating-point tensor of shape (2, 5), one number a token",
    ),
    "NaN scores": (
        lambda: TokenSparse(4)(TOKENS, NAN),
        "given score with NaN at [b=1, n=1]; accepted: numbers: a NaN has no place in an order",
    ),
    "NaN in D": (
        lambda: TokenAggregation(4, 2)(TOKENS, NAN),
        "given decision with NaN at [b=1, n=1]; accepted: numbers: a NaN has no place in an order",
    ),
    "D for other samples": (
        lambda: TokenAggregation(4, 2)(TOKENS, SCORE[:1]),
        "given decision of shape (1, 6); accepted: a floating-point tensor of shape (2, 6), one number a token",
    ),
    "a row that keeps nothing": (
        lambda: TokenAggregation(4, 2, mask="log")(TOKENS[:1].expand(3, 6, 4), DROPPED),
        "given decision with nothing kept in row b=1; accepted: at least one D above 0 in every row",
    ),
    "no modality": (
        lambda: MultiModalSDTPS(4, 6, modalities=()),
        "given modalities=(); accepted: one or more different names",
    ),
    "a modality twice": (
        lambda: MultiModalSDTPS(4, 6, modalities=("rgb", "rgb")),
        "given modalities=('rgb', 'rgb'); accepted: one or more different names",
    ),
    "modalities in a string": (
        lambda: MultiModalSDTPS(4, 6, modalities="rgb"),
        "given modalities='rgb'; accepted: one or more different names",
    ),
    "beta above a half": (lambda: MultiModalSDTPS(4, 6, beta=0.6), "given 2 * beta=1.2; accepted: a number in (0, 1]"),
    "beta of 0": (lambda: MultiModalSDTPS(4, 6, beta=0.0), "given 2 * beta=0.0; accepted: a number in (0, 1]"),
    "a modality too few": (
        lambda: MultiModalSDTPS(4, 6)({"rgb": TOKENS}, FEATURES),
        "given tokens for ['rgb']; accepted: exactly ['rgb', 'nir', 'tir']",
    ),
    "a modality too many": (
        lambda: modalities(nir=TOKENS),
        "given tokens for ['nir', 'rgb']; accepted: exactly ['rgb']",
    ),
    "a feature too many": (
        lambda: MultiModalSDTPS(4, 6, modalities=("rgb",))({"rgb": TOKENS}, FEATURES),
        "given global_features for ['nir', 'rgb']; accepted: exactly ['rgb']",
    ),
    "a token too many": (
        lambda: modalities(torch.zeros(2, 7, 4)),
        "given tokens['rgb'] of shape (2, 7, 4); accepted: N = num_tokens = 6",
    ),
    "a token too few": (
        lambda: modalities(torch.zeros(2, 5, 4)),
        "given tokens['rgb'] of shape (2, 5, 4); accepted: N = num_tokens = 6",
    ),
    "integer tokens of a modality": (
        lambda: modalities(TOKENS.long()),
        "given tokens['rgb'] of torch.int64; accepted: a floating-point tensor",
    ),
    "features of more samples": (
        lambda: modalities(feature=torch.zeros(3, 4)),
        "given global_features['rgb']: torch.float32 of shape (3, 4)" + VECTORS,
    ),
    "features of fewer samples": (
        lambda: modalities(feature=torch.zeros(1, 4)),
        "given global_features['rgb']: torch.float32 of shape (1, 4)" + VECTORS,
    ),
    "integer features": (
        lambda: modalities(feature=torch.zeros(2, 4).long()),
        "given global_features['rgb']: torch.int64 of shape (2, 4)" + VECTORS,
    ),
    "no features": (
        lambda: modalities(feature=None),
        "given global_features['rgb']: None" + VECTORS,
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused_in_these_words(what: str) -> None:
    """InvalidInput, a ValueError, says in one line what was given and what is accepted."""
    give, words = BAD[what]

    with pytest.raises(InvalidInput) as raised:
        give()

    assert words == str(raised.value)
    assert isinstance(raised.value, ValueError)


def test_limits_are_accepted() -> None:
    """Whatever lies on the right side of a limit: all tokens, one channel, a beta of a half, a wide hidden layer."""
    TokenSparse(1, 1.0, 1e-30)(torch.zeros(1, 1, 1), torch.zeros(1, 1))
    MultiModalSDTPS(1, 1, 1.0, modalities=("rgb",), beta=0.5, slots=1)
    TwoBranchSDTPS(1, 1, 1.0, 1.0)

    pooled = TokenAggregation(1, 1, 7.0, mask="log")(torch.zeros(2, 2, 1), torch.tensor([[0.0, 0.5], [0.0, 1.0]]))

    assert pooled.shape == (2, 1, 1)


# Of the constructors, the papers' values: what stands before `*` may be given by place or by name.
DEFAULTS: dict[Any, str] = {
    TokenSparse: "dim, keep_ratio=0.5, tau=1.0, *, generator=None",
    TokenAggregation: "dim, slots, dim_ratio=0.2, *, mask='log'",
    TwoBranchSDTPS: "dim, num_tokens, keep_ratio=0.5, aggr_ratio=0.4, tau=1.0, "
    "*, slots=None, mask='log', generator=None",
    MultiModalSDTPS: "dim, num_tokens, keep_ratio=0.5, aggr_ratio=0.4, tau=1.0, "
    "*, modalities=('rgb', 'nir', 'tir'), beta=0.25, slots=None, mask='log', generator=None",
    scoring.combine_scores: "predicted, own, others, beta=0.25",
}


@pytest.mark.parametrize("callee", DEFAULTS, ids=lambda callee: callee.__name__)
def test_defaults_are_the_papers(callee: Callable[..., Any]) -> None:
    """Every argument's name, place and default."""
    signature = inspect.signature(callee)
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]

    shown = str(inspect.Signature(bare))

    assert f"({DEFAULTS[callee]})" == shown
