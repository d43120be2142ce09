"""An implementation known by one call of its own module: no signature, no adapter."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from sdtps_ref.properties.targets.loading import TargetError
from sdtps_ref.properties.watching.building import Outcome, find_subjects, quiet
from sdtps_ref.properties.watching.example import ExampleError, subject_of_example
from sdtps_ref.properties.watching.forms import GIVEN, PUBLISHED, RETURNED, form_of
from sdtps_ref.properties.watching.passes import Passes, last_soft_weights
from sdtps_ref.properties.watching.record import watch
from sdtps_ref.properties.watching.sites import Site
from sdtps_ref.properties.watching.subject import Subject

EXAMPLE = (
    "FILE.py:example, a function without arguments that returns (module, args), (module, args, kwargs) or a closure "
    "that runs one forward pass"
)


class FromCall:
    """Behind the contract, one method: the call. found: how it was built and called, and where it chooses tokens."""

    def __init__(self, subject: Subject, module: ModuleType | None):
        self.name = subject.name
        self.source = getattr(module, "__file__", None)
        self.subject = subject
        self.notes: list[str] = []
        self._passes = Passes(subject)
        with quiet():
            reading = self._passes.reading()
            self.forms = list(dict.fromkeys(form_of(reading, site) for site in reading.sites))
        if not reading.sites:
            raise NothingChosen(subject, str(last_soft_weights(reading.watched) or "no line of it"))
        lines = [_told(site) for site in _distinct(reading.sites)]
        self.found = [subject.told, *lines[:3], f"form: {'; '.join(self.forms)}"]
        self.notes += [f"judged with {switch}=True, which is False by default" for switch in subject.switches]
        self.notes += [
            f"judged with a value for {name}, which keeps every token by default" for name in subject.enabled
        ]

    @property
    def follows_contract(self) -> bool:
        """Whether its form is the one that the contract's laws are about."""
        return set(self.forms) <= {PUBLISHED, RETURNED, GIVEN}

    def call(self) -> Passes:
        """The watched passes of the call."""
        return self._passes


class NothingChosen(TargetError):
    """What was called makes no hard choice."""

    def __init__(self, subject: Subject, soft: str):
        super().__init__(
            f"nothing is selected: {subject.told} ranks, thresholds and samples nothing that is kept or dropped; "
            f"its last soft weights are made at {soft}"
        )


def from_file(module: ModuleType, target: str, only: str | None = None) -> FromCall:
    """The outermost class of a file that chooses tokens, built and called by trial. Raises TargetError."""
    example = getattr(module, "example", None)
    if only is None and callable(example):
        return from_example(module, example)
    outcome = find_subjects(module, only)
    for subject in outcome.subjects:
        return FromCall(subject, module)
    for subject in outcome.called:
        raise NothingChosen(subject, str(_soft(subject) or "no line of it"))
    raise TargetError(f"{target}: {_why_not(outcome)}; accepted: {EXAMPLE}")


def from_example(module: ModuleType, example: Any) -> FromCall:
    """What a function without arguments hands over: a module with its arguments, or a closure. Raises TargetError."""
    try:
        return FromCall(subject_of_example(example), module)
    except (TargetError, ExampleError):
        raise
    except (Exception, SystemExit) as error:
        raise TargetError(
            f"{getattr(example, '__name__', 'example')}() raised {type(error).__name__}: {error}"
        ) from error


def _soft(subject: Subject) -> Any:
    with quiet():
        return last_soft_weights(watch(subject.run(0)))


def _why_not(outcome: Outcome) -> str:
    if not outcome.refused:
        return "it has no class with a forward pass, and no function that takes tensors"
    (name, why), *others = outcome.refused.items()
    more = f", nor could {', '.join(other for other, _ in others[:3])}" if others else ""
    return f"{name} could not be built and called by trial ({why}){more}{', ...' if len(others) > 3 else ''}"


def _distinct(sites: list[Site]) -> list[Site]:
    lines: dict[Any, Site] = {}
    for site in sites:
        lines.setdefault(site.place, site)
    return list(lines.values())


def _told(site: Site) -> str:
    score = site.score_call.place if site.score_call else None
    decision = site.decision_call.place if site.decision_call else None
    parts = [f"score {score}" if score else "score passed in", f"{site.kind} {site.place}"]
    parts.append(f"D {decision}" if decision else "no D with a gradient")
    return "chooses tokens: " + ", ".join(parts)
