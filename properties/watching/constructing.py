"""Ways to build a class that nobody described: values by the names of its arguments, mended by what it raises."""

from __future__ import annotations

import contextlib
import inspect
import io
import itertools
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from sdtps_ref.properties.watching.choices import compared_words
from sdtps_ref.properties.watching.mending import mend, said
from sdtps_ref.properties.watching.settings import Settings
from sdtps_ref.properties.watching.sizes import (
    HEADS,
    IMAGE,
    IMAGES,
    PATCH,
    SLOTS,
    SWITCH,
    WIDTH,
    smaller,
    switched_on,
    value_for,
)

EDGE = r"(image|img|input|frame)_?(size|resolution|res)"
MENDED = 6  # times that one way to build is mended by what it raised
SMALL, NARROW, OWN = "small", "narrow", "own"  # every size small; its channels alone; as its author has them
# Switches that are off turned on or not; what keeps every token given a value or not.
WAYS = ((True, False), (True, True), (False, False), (False, True))


@dataclass(frozen=True)
class Build:
    """One way to build a candidate.

    made: what came of it, None where it failed, and why. arguments: it was built with, None for a function. switched:
    those that are False by default and were turned on; enabled: those whose default keeps every token. size: how large;
    edge: of the image that it is for, where an argument says so.
    """

    name: str
    made: Any = None
    why: str = ""
    arguments: dict[str, Any] | None = None
    switched: tuple[str, ...] = ()
    enabled: tuple[str, ...] = ()
    size: str = SMALL
    edge: int | None = None

    def __str__(self) -> str:
        if self.arguments is None:
            return self.name
        given = (f"{k}=..." if isinstance(v, dict) else f"{k}={v!r}" for k, v in self.arguments.items())
        return f"{self.name}({', '.join(given)})"


def builds(candidate: Callable[..., Any], sizes: Sequence[str] = (SMALL, NARROW, OWN)) -> Iterator[Build]:
    """Ways to build it, small sizes and switches that are on first; each set of arguments once."""
    name = candidate.__name__
    if not isinstance(candidate, type):
        yield Build(name, candidate)
        return
    seen: list[str] = []
    spelt = _spelt(candidate)
    for size, (switches, on) in itertools.product(sizes, WAYS):
        given, turned, enabled, unknown = _given(candidate, spelt, size, switches, on)
        if repr(given) in seen:
            continue
        seen.append(repr(given))
        if unknown:
            yield Build(name, why=f"nothing is known of its argument {unknown[0]}")
        for _ in range(MENDED):
            try:
                with quiet():
                    torch.manual_seed(0)
                    built = candidate(**given)
            except (Exception, SystemExit) as error:
                yield Build(name, why=f"building it raised {said(error)}")
                if not mend(given, candidate, error, spelt):
                    break
            else:
                yield Build(name, built, "", given, tuple(turned), tuple(enabled), size, _edge(candidate, given))
                break


def _edge(candidate: type, given: dict[str, Any]) -> int | None:
    for p in inspect.signature(candidate).parameters.values():
        value = given.get(p.name, p.default)
        value = value[0] if isinstance(value, (tuple, list)) and value else value
        if isinstance(value, int) and value > 1 and re.fullmatch(EDGE, p.name):
            return value
    return None


def _spelt(candidate: type) -> dict[str, Any]:
    """By name, the first word that the file compares it with."""
    module = sys.modules.get(candidate.__module__)
    found = [pair for source in (module, candidate) for pair in compared_words(source).items()]
    return {name: words[0] for name, words in found if words and name != "device"}


def _given(
    candidate: type, spelt: dict[str, Any], size: str, switches: bool, on: bool
) -> tuple[dict[str, Any], list[str], list[str], list[str]]:
    """Its arguments by name, switches that are on, what is given where the default keeps all, and what is guessed."""
    given: dict[str, Any] = {}
    turned, enabled, unknown = [], [], []
    for p in inspect.signature(candidate).parameters.values():
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            continue
        if p.default is p.empty:
            try:
                given[p.name] = (
                    spelt[p.name] if _a_word(p, spelt) else value_for(p.name, p.annotation, _settings(spelt))
                )
            except LookupError:
                unknown.append(p.name)
                given[p.name] = spelt.get(p.name, SLOTS)
        elif p.default is False and SWITCH.fullmatch(p.name) and switches:
            given[p.name] = True
            turned.append(p.name)
        elif on and switched_on(p.name, p.default) is not p.default:
            given[p.name] = switched_on(p.name, p.default)
            enabled.append(p.name)
        elif _shrunk(p, size) != p.default:
            given[p.name] = _shrunk(p, size)
    if any(isinstance(given[name], list) for name in enabled):  # a rate for each place
        given |= {name: [given[name]] for name in enabled if isinstance(given[name], float)}
    _divided(candidate, given)
    return given, turned, enabled, unknown


def _shrunk(parameter: inspect.Parameter, size: str) -> Any:
    """Its default, or a small one; where only channels are made small, that of channels alone."""
    if size == OWN or (size == NARROW and re.fullmatch(IMAGES, parameter.name)):
        return parameter.default
    value = smaller(parameter.name, parameter.default)
    return value if size == SMALL or value == WIDTH else parameter.default


def _a_word(parameter: inspect.Parameter, spelt: dict[str, Any]) -> bool:
    return parameter.name in spelt and parameter.annotation in (parameter.empty, str, "str")


def _settings(spelt: dict[str, Any]) -> Callable[[], Settings]:
    return lambda: Settings(spelt)


def _divided(candidate: type, given: dict[str, Any]) -> None:
    """Where the width was made small, as many heads as divide it; where the image was, patches of which it has some."""
    widths = [name for name, value in given.items() if value == WIDTH and not re.fullmatch(IMAGES, name)]
    images = [name for name, value in given.items() if value == IMAGE and re.fullmatch(IMAGES, name)]
    for p in inspect.signature(candidate).parameters.values():
        if not isinstance(p.default, int) or isinstance(p.default, bool):
            continue
        if widths and re.fullmatch(r".*heads?", p.name) and p.default > 1 and WIDTH % p.default:
            given[p.name] = HEADS
        if re.fullmatch(r"patch_?size", p.name) and p.default > PATCH and images:
            given[p.name] = PATCH


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What a stranger prints or warns of while it is tried is not shown."""
    with contextlib.ExitStack() as silenced:
        silenced.enter_context(contextlib.redirect_stdout(io.StringIO()))
        silenced.enter_context(contextlib.redirect_stderr(io.StringIO()))
        silenced.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        yield
