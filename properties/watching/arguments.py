"""Which shapes a forward pass is tried with: the kinds of argument that a name suggests, the likeliest first."""

from __future__ import annotations

import inspect
import itertools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from sdtps_ref.properties.kit.values import draw
from sdtps_ref.properties.watching.fitting import Sizes, fitted, sizes_of
from sdtps_ref.properties.watching.sizes import CLASSES, SWITCH

FIRST = 20  # calls without what is None by default, before others with it


def _normal(*shape: int) -> Callable[[int], Tensor]:
    return lambda seed: draw("normal", shape, seed).float()


def _padded(batch: int, tokens: int) -> Tensor:
    """1 where a token is, and 0 for the last of the last sample: no decision, which would be all ones."""
    there = torch.ones(batch, tokens)
    there[-1, -1] = 0
    return there


# Each kind of argument: how one is made of the sizes, as a function of a seed.
KINDS: dict[str, Callable[[Sizes], Callable[[int], Any]]] = {
    "tokens": lambda s: _normal(s.batch, s.tokens, s.width),
    "words": lambda s: _normal(s.batch, s.words, s.width),
    "vector": lambda s: _normal(s.batch, s.width),
    "vector in a row": lambda s: _normal(s.batch, 1, s.width),
    "scores": lambda s: _normal(s.batch, s.tokens),
    "scores in a column": lambda s: _normal(s.batch, s.tokens, 1),
    "attention": lambda s: lambda seed: draw("normal", (s.batch, s.tokens), seed).softmax(-1).float(),
    "attention map": lambda s: lambda seed: draw("normal", (s.batch, 4, s.tokens, s.tokens), seed).softmax(-1).float(),
    "square": lambda s: lambda seed: draw("normal", (s.batch, s.tokens, s.tokens), seed).softmax(-1).float(),
    "channels first": lambda s: _normal(s.batch, s.width, s.tokens),
    "points": lambda s: _normal(s.batch, s.tokens, 3),
    "image": lambda s: _normal(s.batch, s.colours, *s.picture),
    "map": lambda s: _normal(s.batch, s.width, *s.grid),
    "map, channels last": lambda s: _normal(s.batch, *s.grid, s.width),
    "video": lambda s: _normal(s.batch, 4, s.colours, *s.picture),
    "tokens of frames": lambda s: _normal(s.batch, 4, s.tokens, s.width),
    "all kept": lambda s: lambda seed: torch.ones(s.batch, s.tokens),
    "all kept in a column": lambda s: lambda seed: torch.ones(s.batch, s.tokens, 1),
    "padded": lambda s: lambda seed: _padded(s.batch, s.tokens),
    "padded, in a column": lambda s: lambda seed: _padded(s.batch, s.tokens).unsqueeze(-1),
    "mask": lambda s: lambda seed: torch.ones(s.batch, s.tokens, dtype=torch.bool),
    "word mask": lambda s: lambda seed: torch.ones(s.batch, s.words, dtype=torch.bool),
    "word ids": lambda s: lambda seed: 1 + (torch.arange(s.batch * s.words) + seed).view(s.batch, -1) % (CLASSES - 1),
    "lengths": lambda s: lambda seed: [max(1, s.words - i) for i in range(s.batch)],
    "lengths tensor": lambda s: lambda seed: torch.tensor([max(1, s.words - i) for i in range(s.batch)]),
    "labels": lambda s: lambda seed: torch.arange(s.batch) % CLASSES,
    "one sample": lambda s: _normal(s.tokens, s.width),
    "number": lambda s: lambda seed: 1,
    "on": lambda s: lambda seed: True,
    "modalities": lambda s: lambda seed: {
        name: draw("normal", (s.batch, s.tokens, s.width), seed + i).float() for i, name in enumerate("ab")
    },
    "list of tokens": lambda s: lambda seed: [
        draw("normal", (s.batch, s.tokens, s.width), seed + i).float() for i in range(2)
    ],
    "attention maps": lambda s: lambda seed: [
        draw("normal", (s.batch, 4, s.tokens, s.tokens), seed + i).softmax(-1).float() for i in range(2)
    ],
}  # fmt: skip

PICTURES = ("image", "map", "video")  # which only what has a convolution is likely to be given

BY_NAME: list[tuple[str, tuple[str, ...]]] = [
    (r".*(len|lens|length|lengths)", ("lengths", "lengths tensor", "number")),
    (r"(.*_)?(epoch|step|iter|layer|idx|index|stage|level|it|t|k|topk|num_keep|keep)", ("number", "tokens")),
    (r"(.*_)?ids?|caption_?tokens", ("word ids", "tokens")),
    (r".*(map|grid|volume)", ("map", "map, channels last", "tokens", "image")),
    (r"(.*_)?(xyz|coords?|coordinates|points?|positions?|pos)", ("points", "tokens", "vector", "channels first")),
    (r".*(audio|wave|waveform|mel|spectrogram|signal|spec).*", ("channels first", "tokens", "map", "vector")),
    (r"(.*_)?(label|target|cam|view)s?(_.*)?|y", ("labels", "vector", "tokens")),
    (r".*(image|img|pixel|pixels|pixel_values|photo|picture|frame)s?", ("image", "tokens", "map", "vector", "video",
                                                                        "tokens of frames")),
    (r".*(video|clip|clips)", ("video", "tokens", "tokens of frames")),
    (r".*(policy|decision)|.*(keep|kept|token|score|scores|select|selected|hard|soft)_mask",
     ("all kept", "all kept in a column", "mask")),
    (r".*mask.*|.*valid.*|.*padding.*", ("mask", "padded", "word mask", "padded, in a column")),
    (r".*(attn|atten|attention|score|scores|sim|saliency|importance|logits|relevance)(_.*|s)?",
     ("scores", "attention", "scores in a column", "attention map", "square", "attention maps", "tokens")),
    (r"(.*_)?sentences(_.*)?", ("tokens", "words", "vector", "word ids")),
    (r".*(global|cls|pooled|sentence|sent|centre|center|guide|guidance|context_vec|summary).*",
     ("vector", "vector in a row", "tokens", "words")),
    (r".*(query|queries|hint|question|prompt|condition|cond|ctx|context|memory).*",
     ("vector", "words", "tokens", "vector in a row")),
    (r".*(text|word|words|cap|caps|caption|captions|lang|language|txt|phrase|sentence).*",
     ("words", "vector", "tokens", "word ids", "vector in a row")),
    (r"(batch|inputs|modalities|streams|feats_dict|data)", ("tokens", "modalities", "list of tokens", "image")),
    (r".*", ("tokens", "image", "vector", "scores", "map", "map, channels last", "channels first", "modalities",
             "list of tokens", "video", "attention map", "attention maps", "one sample", "square", "word ids",
             "number", "tokens of frames")),
]  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """Arguments of a call: the kind of each, by name; positional ones are passed by position."""

    kinds: dict[str, str]
    positional: tuple[str, ...]
    sizes: Sizes

    def make(self, seed: int = 0) -> tuple[list[Any], dict[str, Any]]:
        """The arguments, their values from the seed."""
        made = {name: _of_kind(kind, self.sizes)(seed + 17 * i) for i, (name, kind) in enumerate(self.kinds.items())}
        return [made.pop(name) for name in self.positional], made

    def refitted(self, message: str) -> list[Plan]:
        """The same kinds in other sizes, by what was said of shapes that do not fit; mappings with a name more, by the
        name that was missing."""
        return [
            *(replace(self, sizes=sizes) for sizes in fitted(self.sizes, message)),
            *(replace(self, kinds=kinds) for kinds in _with_key(self.kinds, message)),
        ]

    def of_tokens(self, count: int) -> Plan:
        """The same with so many tokens."""
        return replace(self, sizes=replace(self.sizes, tokens=count))

    def __str__(self) -> str:
        return ", ".join(f"{name} {described(_of_kind(kind, self.sizes)(0))}" for name, kind in self.kinds.items())


def _of_kind(kind: str, sizes: Sizes) -> Callable[[int], Any]:
    """How an argument is made, as a function of a seed; a mapping of kinds by name is written as JSON."""
    if not kind.startswith("{"):
        return KINDS[kind](sizes)
    parts = [(name, _of_kind(part, sizes)) for name, part in json.loads(kind).items()]
    return lambda seed: {name: make(seed + i) for i, (name, make) in enumerate(parts)}


def _with_key(kinds: dict[str, str], message: str) -> list[dict[str, str]]:
    """What a KeyError asked for, in each mapping, as what its name suggests."""
    missing = re.fullmatch(r"'([^']+)'", message)
    if missing is None:
        return []
    found = []
    for name, kind in kinds.items():
        held = json.loads(kind) if kind.startswith("{") else {} if kind == "modalities" else None
        if held is not None and missing[1] not in held:
            likely = next(own for pattern, own in BY_NAME if re.fullmatch(pattern, missing[1].lower()))[:2]
            found += [kinds | {name: json.dumps(held | {missing[1]: part})} for part in likely]
    return found


def described(value: Any) -> str:
    """A value by its shape."""
    if isinstance(value, Tensor):
        return str(list(value.shape))
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {described(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list) and any(isinstance(part, Tensor) for part in value):
        return "[" + ", ".join(map(described, value)) + "]"
    return repr(value)


def plans(
    call: Callable[..., Any],
    module: nn.Module | None,
    edge: int | None = None,
    runs: Callable[[], bool] = lambda: False,
) -> Iterator[Plan]:
    """Ways to call it, the likeliest first.

    edge: of an image, where it was built with one. runs: whether one of them ran, after which what is None by default
    comes last.
    """
    parameters = [
        p for p in inspect.signature(call).parameters.values() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    switches = {p.name: "on" for p in parameters if p.default is False and SWITCH.fullmatch(p.name.lower())}
    optional = [p for p in parameters if p.default is not p.empty]
    required = [p for p in parameters if p.default is p.empty]
    helpful = [p for p in optional if p.default is None and _is_tensorlike(p.name)]
    usual, *others = sizes_of(module, edge)
    flat = module is not None and any(True for _ in module.parameters()) and not _reads_pictures(module)
    for plan in _each_once(_ordered(required, helpful, flat, usual, others, runs)):
        yield replace(plan, kinds=plan.kinds | switches)


def _ordered(
    required: list[inspect.Parameter],
    helpful: list[inspect.Parameter],
    flat: bool,
    usual: Sizes,
    others: list[Sizes],
    runs: Callable[[], bool],
) -> Iterator[Plan]:
    """The likeliest few without and with what is None by default, before all others. flat: tokens before pictures."""
    yield from itertools.islice(_combined(required, usual, flat), FIRST)
    with_more = [[*required, p] for p in helpful] + ([required + helpful] if len(helpful) > 1 else [])
    for parameters in [] if runs() else with_more:
        yield from itertools.islice(_combined(parameters, usual, flat), FIRST // 2)
    for sizes in (usual, *others):
        yield from _combined(required, sizes, flat)
    for sizes in (usual, *others[:1]):
        for parameters in with_more:
            yield from _combined(parameters, sizes, flat)


def _each_once(planned: Iterator[Plan]) -> Iterator[Plan]:
    seen = set()
    for plan in planned:
        key = (tuple(plan.kinds.items()), plan.sizes)
        if key not in seen:
            seen.add(key)
            yield plan


def _is_tensorlike(name: str) -> bool:
    return not re.fullmatch(r".*(epoch|step|flag|return|mode|name|device|size).*", name.lower())


def _reads_pictures(module: nn.Module) -> bool:
    """Whether a weight is one of a convolution over pictures or films, or may become one."""
    weights = list(module.parameters())
    if any(is_lazy(weight) for weight in weights):
        return True
    return any(weight.dim() > 3 and min(weight.shape[-2:]) > 1 for weight in weights)


def _combined(parameters: list[inspect.Parameter], sizes: Sizes, flat: bool) -> Iterator[Plan]:
    choices = [_kinds(p) for p in parameters]
    if flat:  # a name that says picture may well mean what was made of one
        choices = [
            tuple(sorted(choice, key=lambda kind: kind in PICTURES)) if choice[0] in PICTURES else choice
            for choice in choices
        ]
    positional = tuple(p.name for p in parameters if p.kind != p.KEYWORD_ONLY and p.default is p.empty)
    ranked = sorted(
        _products([len(choice) for choice in choices]), key=lambda ranks: (sum(ranks), max(ranks, default=0))
    )
    for ranks in ranked:
        kinds = {p.name: choice[r] for p, choice, r in zip(parameters, choices, ranks, strict=True)}
        yield Plan(kinds, positional, sizes)


def _kinds(parameter: inspect.Parameter) -> tuple[str, ...]:
    name = parameter.name.lower()
    annotation = str(parameter.annotation)
    own = next(kinds for pattern, kinds in BY_NAME if re.fullmatch(pattern, name))
    if "dict" in annotation.lower() or "Mapping" in annotation:
        return ("modalities", *own)
    if "list[int]" in annotation.lower():
        return ("lengths", *own)
    if "list" in annotation.lower() or "Sequence" in annotation:
        return ("list of tokens", "lengths", *own)
    if annotation in ("<class 'int'>", "int"):
        return ("number",)
    return own


def _products(lengths: list[int], limit: int = 400) -> list[tuple[int, ...]]:
    ranks: list[tuple[int, ...]] = [()]
    for length in lengths:
        ranks = sorted(((*rank, i) for rank in ranks for i in range(length)), key=sum)[:limit]
    return ranks
