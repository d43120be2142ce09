"""Which value a constructor's argument gets, by what it is called: the names that people give to sizes and rates."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

# Small, and all different, so that a shape tells what a tensor is. Temperature is a number that is no other constant.
TOKENS, KEPT, SLOTS, WIDTH, HEADS, DEPTH, CLASSES, IMAGE, PATCH = 16, 6, 4, 32, 4, 2, 5, 32, 8
TAU, RATIO = 0.7, 0.5

NAMED: list[tuple[str, Any]] = [
    (r"(image|img|input|frame)_?(size|resolution|res)|height|width_px|img_h|img_w", IMAGE),
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
SWITCH = re.compile(r".*(gumbel|noise|straight|ste|differentiable|hard|sparse|prun|select|stochastic|policy).*")


def value_for(name: str, annotation: Any = None) -> Any:
    """The value of a constructor's argument of this name. Raises LookupError where nothing is known of it."""
    plain = name.lower().lstrip("_")
    if CONFIG.fullmatch(plain):
        return Settings()
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


def smaller(name: str, default: Any) -> Any:
    """A small value in place of a large default, where the name says that it is a size; else the default."""
    if isinstance(default, bool) or not isinstance(default, int) or default <= 48:
        return default
    try:
        value = value_for(name)
    except LookupError:
        return default
    return value if isinstance(value, int) and not isinstance(value, bool) else default


class Settings(dict[str, Any]):
    """A configuration object that has whatever is asked for, by attribute, key or `get`, valued by its name."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    def __missing__(self, name: str) -> Any:
        try:
            self[name] = value_for(str(name))
        except LookupError:
            self[name] = Settings() if str(name).isupper() or str(name).istitle() else False
        return self[name]

    def get(self, name: str, default: Any = None) -> Any:
        """What was asked for; the caller's default where it has one."""
        return self[name] if default is None else default

    def __contains__(self, name: object) -> bool:
        return True

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)
