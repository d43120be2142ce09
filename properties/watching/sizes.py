"""Which value a constructor's argument gets, by what it is called: the names that people give to sizes and rates."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from torch import nn

# Small, and all different, so that a shape tells what a tensor is. Temperature is a number that is no other constant.
TOKENS, KEPT, SLOTS, WIDTH, HEADS, DEPTH, CLASSES, IMAGE, PATCH = 16, 6, 4, 32, 4, 2, 5, 32, 8
TAU, RATIO = 0.7, 0.5

IMAGES = r"(image|img|input|frame)_?(size|resolution|res)|height|width_px|img_h|img_w"
NAMED: list[tuple[str, Any]] = [
    (r"device", "cpu"),
    (r".*_per_(depth|layer|stage|block)", (KEPT,) * DEPTH),
    (IMAGES, IMAGE),
    (r"patch_?size|stride(_size)?", PATCH),
    (r"in_?chans?|in_channels_img", 3),
    (r".*(num|n)_?class(es)?|nb_class(es)?|classes", CLASSES),
    (r".*heads?|nhead|num_head|n_head", HEADS),
    (r"head_dim|dim_head", WIDTH // HEADS),
    (r"depth|.*layers?|num_?blocks?|n_blocks|.*stages?", DEPTH),
    (r".*(tau|temperature|temp)(_.*)?", TAU),
    (r".*(drop|dropout)(out|_rate|_prob|_path|_p)?.*|attn_drop|proj_drop", 0.0),
    (r"(pruning|prune|drop|keep|select|sparse|reduction)_?(loc|locs|layers?|idx|index|position)s?", [1]),
    (r"(token_ratios?|keep_rates?|ratios|keep_ratios|token_ratio|base_rates?)_list", [RATIO]),
    (r".*(ratio|rate|sparsity|fraction|percent|share|portion|proportion|mlp_mult)(_.*)?", RATIO),
    (r"mlp_ratio", 2.0),
    (r"k|.*top_?k(_.*)?|.*(num|n)?_?(keep|kept|select|selected|budget|keeps?)(_tokens|_patches|_num)?", KEPT),
    (r".*(keeped_patches|slots?|queries|query_num|num_query|n_out|outputs|clusters?|centers?|prototypes)", SLOTS),
    (r".*(num|n|max|total)_?(patch|patches|tokens?|frames?|words?|regions?|len|length|keys)", TOKENS),
    (r"n|.*seq_?len(gth)?|.*length|max_len|ntokens|tokens|patches|frames", TOKENS),
    (r"eps|epsilon", 1e-6),
    (r"alpha|beta|gamma|lam|lambda_?|.*weight|.*scale|.*factor|margin|momentum|threshold|thresh|thr", 0.25),
    (r"norm_layer|norm", nn.LayerNorm),
    (r"act_layer|act|activation", nn.GELU),
    (r"(modal(ity|ities)?|names?|modes)", ("a", "b")),
    (r".*(num|n)_?(modal(ity|ities)?|views?|cameras?)|camera_num|view_num", 2),
    (r".*(dim|dims|width|channels?|hidden|features?|feats?|d_model|embed|size|planes|units)(_.*)?", WIDTH),
    (r"(c|d|h|dim_.*|d_.*|hidden_.*|embed_.*|feat_.*|in_.*|out_.*|vis_.*|txt_.*|text_.*)", WIDTH),
]
CONFIG = re.compile(r"cfg|.*config|args|opts?|.*options|hparams|params|hp|conf|settings|arguments")
SELECTS = re.compile(
    r".*(keep|kept|prun|select|sparse|sparsity|top_?k|retain|budget|drop_?loc|reduction_loc|num_tokens).*"
    r"|(.*_)?(token|sampl\w*)_?(ratio|rate|fraction)s?(_list)?|k"
)
RATES = re.compile(r".*(ratio|rate|fraction|percent|budget|sparsity).*")
SWITCH = re.compile(r".*(gumbel|noise|straight|ste|differentiable|hard|sparse|prun|select|stochastic|policy).*")


def value_for(name: str, annotation: Any = None, like: Callable[[], Any] | None = None) -> Any:
    """The value of a constructor's argument of this name; like: makes a configuration, where the name says it is one.

    Raises LookupError where nothing is known of it.
    """
    plain = name.lower().lstrip("_")
    if like is not None and CONFIG.fullmatch(plain):
        return like()
    if annotation in (bool, "bool") or plain.startswith(("use_", "with_", "is_", "enable_", "return_")):
        return True
    for pattern, value in NAMED:
        if re.fullmatch(pattern, plain):
            return value
    if annotation in (int, "int"):
        return SLOTS
    if annotation in (float, "float"):
        return RATIO
    raise LookupError(name)


def switched_on(name: str, default: Any) -> Any:
    """A value with which tokens are dropped, in place of a default that drops none; else the default.

    None, an empty list and a rate of 0 or 1, or nothing but ones, drop none where the name is about keeping tokens.
    """
    plain = name.lower()
    if not SELECTS.fullmatch(plain) or isinstance(default, bool):
        return default
    rate = RATES.fullmatch(plain) is not None
    if isinstance(default, (list, tuple)) and default and rate and all(part == 1 for part in default):
        return type(default)(RATIO for _ in default)
    if default is None or default in ((), []) or (rate and default in (0, 1)):
        try:
            return value_for(plain)
        except LookupError:
            return default
    return default


def smaller(name: str, default: Any) -> Any:
    """A small value in place of a large default, where the name says that it is a size; else the default."""
    if isinstance(default, bool) or not isinstance(default, int) or default <= 48:
        return default
    try:
        value = value_for(name)
    except LookupError:
        return default
    return value if isinstance(value, int) and not isinstance(value, bool) else default
