"""A case: everything one example of a law is made of, as plain data that prints, shrinks and stores well."""

from dataclasses import asdict, dataclass, field, fields, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.kit import values

DTYPES = ("float32", "float64", "bfloat16", "float16")
SCORE_KINDS = ("normal", "distinct", "ties", "constant", "huge", "tiny", "close", "far", "subnormal")
TOKEN_KINDS = ("normal", "constant", "outliers", "zeros")
BOUND_TO_DTYPE = ("close", "subnormal")  # what these draw depends on the dtype
LAYOUTS = ("contiguous", "transposed", "sliced", "expanded")
TILES = (32, 64, 128, 256)  # fused kernels fail at the edges of their tiles
CLASSES = frozenset(
    {"K=1", "K=N", "K=N-1", "N=1", "B=1", "B=N", "K=M", "ties", "non-contiguous", "half precision", "train", "eval"}
    | {"tau<=0.1", "tau>=10", "close scores", "far scores", "subnormal scores", "outliers", "zeros", "B>64"}
    | {f"N{side}{tile}" for tile in TILES for side in ("<=", ">")}
)


# Kind of scores, kind of tokens, seed.
Values = tuple[str, str, int]

_drawn = lru_cache(64)(values.draw)  # the corners are the same for every law


@dataclass(frozen=True, order=True)
class Case:
    """Sizes, dtype, layout, kinds of values and a seed. `drawn`, where given, are the scores themselves.

    batch B, num_tokens N, keep K, dim C, slots M; tau > 0; training: train or eval mode; tokens
    "constant" means that all tokens of a sample are the same. packed: several examples in one call, an equal
    part of the batch with values of its own for each; empty for one example.
    """

    batch: int
    num_tokens: int
    keep: int
    dim: int
    slots: int
    tau: float = 1.0
    dtype: str = "float32"
    device: str = "cpu"
    training: bool = True
    layout: str = "contiguous"
    scores: str = "normal"
    tokens: str = "normal"
    seed: int = 0
    drawn: tuple[float, ...] = field(default=())
    packed: tuple[Values, ...] = ()

    def __str__(self) -> str:
        sizes = f"B={self.batch} N={self.num_tokens} K={self.keep} C={self.dim} M={self.slots} tau={self.tau}"
        mode = "train" if self.training else "eval"
        scores = "drawn" if self.drawn else self.scores
        kinds = f"{self.layout} layout, {scores} scores, {self.tokens} tokens, seed {self.seed}"
        packed = f", packed with {', '.join(map(str, self.packed[1:]))}" if self.packed else ""
        return f"{sizes} {self.dtype} {self.device} {mode}; {kinds}{packed}"

    @property
    def examples(self) -> "tuple[Case, ...]":
        """The examples that are packed in this case, each a case of its own."""
        if not self.packed:
            return (self,)
        rows = self.batch // len(self.packed)
        return tuple(
            replace(self, batch=rows, scores=scores, tokens=tokens, seed=seed, packed=())
            for scores, tokens, seed in self.packed
        )

    @property
    def torch_dtype(self) -> torch.dtype:
        """The dtype as torch has it."""
        return getattr(torch, self.dtype)

    def portable(self, device: str) -> "Case":
        """The case as it is stored by who ran it on `device`: "cpu" stands for whatever device is asked for."""
        return replace(self, device="cpu") if self.device == device else self

    def make_score(self) -> Tensor:
        """The score, B N, in the case's dtype, device and layout."""
        if self.drawn:
            score = torch.tensor(self.drawn, dtype=torch.float64).view(self.batch, self.num_tokens)
            return values.lay_out(score.to(self.device, self.torch_dtype), self.layout)
        return self._draw("score")

    def make_tokens(self) -> Tensor:
        """The tokens, B N C, in the case's dtype, device and layout."""
        return self._draw("tokens")

    def recipe(self, name: str) -> str | None:
        """How a script writes `score` or `tokens` in their layout; None for drawn scores, which it spells out."""
        drawn = f"{self._recipe(name)}.to({self.device!r}, {self.torch_dtype})"
        if name == "score" and self.drawn:
            if self.layout == "contiguous":
                return None
            given = f"torch.tensor({list(self.drawn)}, dtype={self.torch_dtype}, device={self.device!r})"
            drawn = f"{given}.view({self.batch}, {self.num_tokens})"
        return drawn if self.layout == "contiguous" else f"lay_out({drawn}, {self.layout!r})"

    def _recipe(self, name: str) -> str:
        drawn = [f"draw{example._drawn_from(name)!r}" for example in self.examples]
        return drawn[0] if len(drawn) == 1 else f"torch.cat([{', '.join(drawn)}])"

    def _draw(self, name: str) -> Tensor:
        drawn = torch.cat([_drawn(*example._drawn_from(name)) for example in self.examples])  # never the kept one
        return values.lay_out(drawn.to(self.device, self.torch_dtype), self.layout)

    def _drawn_from(self, name: str) -> tuple[str, tuple[int, ...], int]:
        if name == "score":
            kind = f"{self.scores} {self.dtype}" if self.scores in BOUND_TO_DTYPE else self.scores
            return kind, (self.batch, self.num_tokens), self.seed
        return self.tokens, (self.batch, self.num_tokens, self.dim), self.seed + 1

    def classes(self) -> frozenset[str]:
        """Which of CLASSES this case is an example of, for the ledger of what was tried."""
        if self.packed:
            return frozenset().union(*(example.classes() for example in self.examples))
        tried = {
            "K=1": self.keep == 1,
            "K=N": self.keep == self.num_tokens,
            "K=N-1": self.keep == self.num_tokens - 1,
            "N=1": self.num_tokens == 1,
            "B=1": self.batch == 1,
            "B=N": self.batch == self.num_tokens,
            "K=M": self.keep == self.slots,
            "ties": self.scores in ("ties", "constant") or len(set(self.drawn)) < len(self.drawn),
            "non-contiguous": self.layout != "contiguous",
            "tau<=0.1": self.tau <= 0.1,
            "tau>=10": self.tau >= 10,
            **{f"{kind} scores": self.scores == kind for kind in ("close", "far", "subnormal")},
            **{kind: self.tokens == kind for kind in ("outliers", "zeros")},
            "B>64": self.batch > 64,
            "half precision": self.dtype in ("float16", "bfloat16"),
            "train": self.training,
            "eval": not self.training,
        }
        for tile in TILES:
            tried[f"N<={tile}"] = tile // 2 < self.num_tokens <= tile
            tried[f"N>{tile}"] = tile < self.num_tokens <= tile * 3 // 2
        return frozenset(name for name, hit in tried.items() if hit)

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` reads back."""
        return asdict(self) | {"drawn": list(self.drawn), "packed": [list(values) for values in self.packed]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Case":
        """The case that `to_json` wrote."""
        known = {f.name for f in fields(cls)}
        tuples = {"drawn": tuple(data["drawn"]), "packed": tuple(map(tuple, data["packed"]))}
        return cls(**{name: value for name, value in data.items() if name in known} | tuples)
