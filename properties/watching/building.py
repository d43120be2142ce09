"""From a file to a subject: its classes are built by the names of their arguments, and called by trial."""

from __future__ import annotations

import contextlib
import inspect
import io
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import nn

from sdtps_ref.properties.watching.arguments import Plan, plans
from sdtps_ref.properties.watching.recipe import Recipe
from sdtps_ref.properties.watching.record import tensors_in, watch
from sdtps_ref.properties.watching.sites import find_sites
from sdtps_ref.properties.watching.sizes import SWITCH, smaller, value_for
from sdtps_ref.properties.watching.subject import Subject

TRIALS, SECONDS = 200, 8.0  # ways to call one class, and for how long
LONGEST = 160  # characters of what a class raised that are repeated


class Outcome:
    """What trying a file came to. subjects: what chooses tokens; called: what runs and does not; refused: the rest."""

    def __init__(self) -> None:
        self.subjects: list[Subject] = []
        self.called: list[Subject] = []
        self.refused: dict[str, str] = {}


def find_subjects(module: ModuleType, only: str | None = None) -> Outcome:
    """Build and call what the file has, outermost class first, until something chooses tokens."""
    outcome = Outcome()
    inside: set[type] = set()
    for candidate in _candidates(module):
        if only is not None and candidate.__name__ != only:
            continue
        if isinstance(candidate, type) and candidate in inside:
            continue
        subject, chooses = _tried(candidate, outcome.refused)
        if subject is None:
            continue
        (outcome.subjects if chooses else outcome.called).append(subject)
        if chooses and subject.module is not None:
            inside |= {type(part) for part in subject.module.modules()}
        if chooses and len(outcome.subjects) >= 3:
            break
    return outcome


def _candidates(module: ModuleType) -> list[Callable[..., Any]]:
    own = [value for value in vars(module).values() if getattr(value, "__module__", None) == module.__name__]
    classes = [
        c for c in own if isinstance(c, type) and issubclass(c, nn.Module) and c.forward is not nn.Module.forward
    ]
    functions = [f for f in own if inspect.isfunction(f) and not f.__name__.startswith("_") and _takes_tensors(f)]
    texts = {c: _source(c) for c in classes}
    inner = {c: {o for o in classes if o is not c and re.search(rf"\b{o.__name__}\b", texts[c])} for c in classes}

    def below(c: type, seen: frozenset[type] = frozenset()) -> set[type]:
        return {c} | {deep for o in inner[c] - seen for deep in below(o, seen | {c})}

    ordered = sorted(classes, key=lambda c: (-len(below(c)), -classes.index(c)))
    return [*ordered, *functions]


def _source(found: Any) -> str:
    try:
        return inspect.getsource(found)
    except (OSError, TypeError):
        return ""


def _takes_tensors(function: Callable[..., Any]) -> bool:
    parameters = inspect.signature(function).parameters.values()
    required = [p for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return (1 <= len(required) <= 5 and "torch" in _source(function)) or any(
        "Tensor" in str(p.annotation) for p in required
    )


def _tried(candidate: Callable[..., Any], refused: dict[str, str]) -> tuple[Subject | None, bool]:
    """The candidate as a subject, and whether it chooses tokens."""
    fallback: Subject | None = None
    reason = ""
    deadline = time.monotonic() + SECONDS
    for build in _builds(candidate):
        if build.made is None:
            reason = reason or build.why
            continue
        module = build.made if isinstance(build.made, nn.Module) else None
        tries = 0
        for plan in plans(module.forward if module is not None else build.made, module):
            tries += 1
            if tries > TRIALS or time.monotonic() > deadline:
                break
            subject = _subject(candidate, build, plan)
            try:
                chooses = _calls(subject)
            except (Exception, SystemExit) as error:
                reason = reason or _said(error)
                continue
            if chooses:
                subject.by_default = _by_default(candidate, plan) if build.switched else None
                return subject, True
            fallback = fallback or subject
            if tries > 40:
                break
        if fallback is not None and time.monotonic() > deadline:
            break
    if fallback is None:
        refused[candidate.__name__] = reason or "no arguments were found that it takes"
    return fallback, False


def _subject(candidate: Callable[..., Any], build: Build, plan: Plan) -> Subject:
    module = build.made if isinstance(build.made, nn.Module) else None
    args, kwargs = plan.make()
    file = getattr(sys.modules.get(candidate.__module__), "__file__", None) or ""
    recipe = Recipe(file, candidate.__name__, build.arguments, tuple(args), kwargs)
    told = f"{build} called with {plan}"
    return Subject(candidate.__name__, build.made, plan.make, module, told, list(build.switched), recipe=recipe)


def _by_default(candidate: Callable[..., Any], plan: Plan) -> Subject | None:
    """The same call of what is built without the switches; None where that cannot be built or called."""
    for build in _builds(candidate):
        if isinstance(build.made, nn.Module) and not build.switched:
            plain = _subject(candidate, build, plan)
            try:
                _calls(plain)
            except (Exception, SystemExit):
                continue
            return plain
    return None


def _calls(subject: Subject) -> bool:
    """Call it once, in train mode, quietly; whether it makes a hard choice. Raises what it raises."""
    with quiet():
        watched = watch(subject.run(0))
        if not any(t.is_floating_point() for t in tensors_in(watched.output)):
            raise ValueError("it returns no floating tensor")
        return any(not site.keeps_all for site in find_sites(watched))


@dataclass(frozen=True)
class Build:
    """One way to build a candidate.

    made: what came of it, None where it failed, and why. arguments: it was built with, None for a function. switched:
    those that are False by default and were turned on.
    """

    name: str
    made: Any = None
    why: str = ""
    arguments: dict[str, Any] | None = None
    switched: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.arguments is None:
            return self.name
        given = (f"{k}=..." if isinstance(v, dict) else f"{k}={v!r}" for k, v in self.arguments.items())
        return f"{self.name}({', '.join(given)})"


def _builds(candidate: Callable[..., Any]) -> Iterator[Build]:
    """Ways to build it, small sizes and switches that are on first."""
    name = candidate.__name__
    if not isinstance(candidate, type):
        yield Build(name, candidate)
        return
    for small in (True, False):
        for switches in (True, False):
            try:
                given, turned = _given(candidate, small, switches)
            except LookupError as unknown:
                yield Build(name, why=f"nothing is known of its argument {unknown}")
                continue
            try:
                with quiet():
                    torch.manual_seed(0)
                    built = candidate(**given)
            except (Exception, SystemExit) as error:
                yield Build(name, why=f"building it raised {_said(error)}")
                continue
            yield Build(name, built, "", given, tuple(turned))
            if not turned and not small:
                return


def _given(candidate: type, small: bool, switches: bool) -> tuple[dict[str, Any], list[str]]:
    """A constructor's arguments, by their names, and the switches that are turned on. Raises LookupError."""
    given: dict[str, Any] = {}
    turned = []
    for p in inspect.signature(candidate).parameters.values():
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            continue
        if p.default is p.empty:
            given[p.name] = value_for(p.name, p.annotation)
        elif p.default is False and SWITCH.fullmatch(p.name) and switches:
            given[p.name] = True
            turned.append(p.name)
        elif small and smaller(p.name, p.default) != p.default:
            given[p.name] = smaller(p.name, p.default)
    return given, turned


def _said(error: BaseException) -> str:
    """What was raised, in a line that is not too long."""
    first = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}"[:LONGEST]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What a stranger prints or warns of while it is tried is not shown."""
    with contextlib.ExitStack() as silenced:
        silenced.enter_context(contextlib.redirect_stdout(io.StringIO()))
        silenced.enter_context(contextlib.redirect_stderr(io.StringIO()))
        silenced.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        yield
