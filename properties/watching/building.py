"""From a file to a subject: its classes are built by the names of their arguments, and called by trial."""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from torch import nn

from sdtps_ref.properties.watching.calling import Trial, by_default
from sdtps_ref.properties.watching.choices import source_of
from sdtps_ref.properties.watching.constructing import OWN, builds, quiet
from sdtps_ref.properties.watching.subject import Subject

__all__ = ["Outcome", "find_subjects", "quiet"]
SECONDS, ALTOGETHER = 4.0, 10.0  # for how long one class is tried, and a file
TENSORS = re.compile(r"torch|\bF\.|\.(shape|(un)?squeeze|topk|softmax|view|permute)\b")


class Outcome:
    """What trying a file came to. subjects: what chooses tokens; called: what runs and does not; refused: the rest."""

    def __init__(self) -> None:
        self.subjects: list[Subject] = []
        self.called: list[Subject] = []
        self.refused: dict[str, str] = {}


def find_subjects(module: ModuleType, only: str | None = None) -> Outcome:
    """Build and call what the file has, outermost class first, until something chooses tokens."""
    outcome = Outcome()
    last = time.monotonic() + ALTOGETHER
    for candidate in _candidates(module):
        if only is not None and candidate.__name__ != only:
            continue
        if time.monotonic() > last:
            outcome.refused[candidate.__name__] = f"not tried: the {ALTOGETHER:.0f} s for a file were over"
            continue
        subject, chooses = _tried(candidate, outcome.refused, min(last, time.monotonic() + SECONDS))
        if subject is not None:
            (outcome.subjects if chooses else outcome.called).append(subject)
        if chooses:
            break
    return outcome


def _candidates(module: ModuleType) -> list[Callable[..., Any]]:
    own = [value for value in vars(module).values() if getattr(value, "__module__", None) == module.__name__]
    classes = [
        c
        for c in own
        if isinstance(c, type)
        and issubclass(c, nn.Module)
        and (c.forward is not nn.Module.forward or "__call__" in vars(c))
    ]
    functions = [f for f in own if inspect.isfunction(f) and not f.__name__.startswith("_") and _takes_tensors(f)]
    texts = {c: source_of(c) for c in classes}
    inner = {c: {o for o in classes if o is not c and re.search(rf"\b{o.__name__}\b", texts[c])} for c in classes}

    def below(c: type, seen: frozenset[type] = frozenset()) -> set[type]:
        return {c} | {deep for o in inner[c] - seen for deep in below(o, seen | {c})}

    ordered = sorted(classes, key=lambda c: (-len(below(c)), -classes.index(c)))
    return [*ordered, *functions]


def _takes_tensors(function: Callable[..., Any]) -> bool:
    parameters = inspect.signature(function).parameters.values()
    required = [p for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return bool(1 <= len(required) <= 5 and TENSORS.search(source_of(function))) or any(
        "Tensor" in str(p.annotation) for p in required
    )


def _tried(candidate: Callable[..., Any], refused: dict[str, str], deadline: float) -> tuple[Subject | None, bool]:
    """The candidate as a subject, and whether it chooses tokens."""
    trials: list[Trial] = []
    reasons: list[str] = []
    runs: Subject | None = None
    for trial in _trials(candidate, trials, reasons, deadline):
        runs = runs or trial.runs
        if trial.chooses is not None:
            plan, subject = trial.chooses
            subject.by_default = by_default(candidate, plan, trial.build) if trial.build.switched else None
            return subject, True
        if time.monotonic() > deadline:
            break
    if runs is None:
        told = sorted(filter(None, reasons), key=lambda reason: "CUDA" not in reason and "NVIDIA" not in reason)
        refused[candidate.__name__] = (told or ["no arguments were found that it takes"])[0]
    return runs, False


def _trials(candidate: Callable[..., Any], trials: list[Trial], reasons: list[str], deadline: float) -> Iterator[Trial]:
    """Each way to build it with its likeliest calls, its author's sizes last; then what is small with all others."""
    for build in builds(candidate):
        if build.made is None:
            reasons.append(build.why)
            continue
        trial = Trial(candidate, build, deadline)
        yield trial.likely()
        reasons.append(trial.reason)
        if build.size != OWN:
            trials.append(trial)
    for trial in trials:
        yield trial.others()
