"""The published call signatures, and how a class is recognised by them: by names and counts, never by descent."""

import contextlib
import inspect
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from torch import nn


@dataclass(frozen=True)
class Signature:
    """One published class. built_with, called_with: the arguments that must be there, in this order.

    fillers: values for others, should they have no default. May be accepted besides: `options`.
    """

    title: str
    class_name: str
    built_with: tuple[str, ...]
    called_with: tuple[str, ...]
    options: tuple[str, ...] = ()
    fillers: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.class_name}({', '.join(self.built_with)})({', '.join(self.called_with)})"


MODAL_SPARSE = Signature(
    "multi-modal TokenSparse",
    "TokenSparse",
    ("embed_dim", "sparse_ratio"),
    ("tokens", "self_attention", "cross_attention_m2", "cross_attention_m3"),
    ("use_gumbel", "gumbel_tau"),
    {"beta": 0.25},
)
TEXT_SPARSE = Signature(
    "text-guided TokenSparse (LAPS, SEPS)",
    "TokenSparse",
    ("embed_dim", "sparse_ratio"),
    ("tokens", "attention_x", "attention_y"),
    ("use_gumbel", "gumbel_tau"),
    {"beta": 0.25},
)
AGGREGATION = Signature(
    "TokenAggregation (LAPS, SEPS)",
    "TokenAggregation",
    ("dim", "keeped_patches"),
    ("x",),
    ("keep_policy",),
    {"dim_ratio": 0.2, "keep_policy": None},
)
MODALITIES = ("rgb", "nir", "tir")
MULTI_MODAL = Signature(
    "MultiModalSDTPS",
    "MultiModalSDTPS",
    ("embed_dim", "num_patches", "sparse_ratio", "aggr_ratio"),
    (*MODALITIES, *(f"{name}_global" for name in MODALITIES)),
    ("use_gumbel", "gumbel_tau"),
    {"beta": 0.25},
)
SIGNATURES = (MODAL_SPARSE, TEXT_SPARSE, AGGREGATION, MULTI_MODAL)


@dataclass(frozen=True)
class Recognised:
    """A class of the subject's module with the signature that it has."""

    signature: Signature
    found: type[nn.Module]

    def takes(self, argument: str) -> bool:
        """Whether it is built with an argument of this name."""
        return argument in _parameters(self.found.__init__)

    def call_takes(self, argument: str) -> bool:
        """Whether it is called with an argument of this name."""
        return argument in _parameters(self.found.forward)

    def make(self, **arguments: Any) -> nn.Module:
        """An instance. Of `arguments`, those are given that it takes; what it prints is not shown."""
        return self._made(arguments)[0]

    def prints(self, **arguments: Any) -> bool:
        """Whether an instance says something when it is made."""
        return bool(self._made(arguments)[1])

    def given(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """What an instance is made with: those of `arguments` that it takes, and fillers of what else it needs."""
        required = _required(self.found.__init__)
        given = {name: value for name, value in self.signature.fillers.items() if name in required}
        return given | {name: value for name, value in arguments.items() if self.takes(name)}

    def _made(self, arguments: dict[str, Any]) -> tuple[nn.Module, str]:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            return self.found(**self.given(arguments)), said.getvalue()

    def further(self) -> dict[str, Any]:
        """Arguments of a call that have no default and are none of the published ones."""
        required = _required(self.found.forward)
        given = {name: value for name, value in self.signature.fillers.items() if name in required}
        # A switch of the call is turned on, as one of the constructor is: off, there is nothing to judge.
        return given | ({"use_gumbel": True} if self.call_takes("use_gumbel") else {})


def recognise(module: ModuleType) -> tuple[list[Recognised], list[str]]:
    """The classes of a module that have a published signature, one a name, and what is to be said of the others."""
    recognised: dict[str, Recognised] = {}
    notes: list[str] = []
    for name, value in vars(module).items():
        if name.startswith("_") or not (isinstance(value, type) and issubclass(value, nn.Module)):
            continue
        matched = recognise_class(value)
        if isinstance(matched, Recognised):
            before = recognised.setdefault(matched.signature.class_name, matched)
            if before.found is not value:
                named = value.__name__ == matched.signature.class_name != before.found.__name__
                left = before.found if named else value
                recognised[matched.signature.class_name] = matched if named else before
                notes.append(f"{left.__name__} has a published signature too and was left aside: name it as attribute")
        elif matched:
            notes.append(matched)
    return list(recognised.values()), notes


def recognise_class(found: type) -> Recognised | str:
    """The class with its signature; or why it has none though it bears a published name (empty if it does not)."""
    for signature in SIGNATURES:
        if not _differs(found, signature):
            return Recognised(signature, found)
    namesakes = [signature for signature in SIGNATURES if signature.class_name in found.__name__]
    if not namesakes:
        return ""
    why = "; ".join(f"as {signature} it {_differs(found, signature)}" for signature in namesakes)
    return f"{found.__name__} has none of the published signatures: {why}"


def _differs(found: Any, signature: Signature) -> str:
    """How the class differs from the signature, in words; empty if it does not."""
    forward = getattr(found, "forward", None)
    for function, owed, verb in (
        (found.__init__, signature.built_with, "built"),
        (forward, signature.called_with, "called"),
    ):
        names = list(_parameters(function))
        if [name for name in names if name in owed] != list(owed):
            return f"is {verb} with ({', '.join(names)})"
        more = [name for name in _required(function) if name not in (*owed, *signature.fillers, *signature.options)]
        if more:
            return f"is {verb} with {', '.join(more)} besides"
    return ""


def _parameters(function: Any) -> dict[str, inspect.Parameter]:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name: part for name, part in parameters.items() if name != "self" and part.kind in kinds}


def _required(function: Any) -> list[str]:
    return [name for name, part in _parameters(function).items() if part.default is inspect.Parameter.empty]
